#!/usr/bin/env bash
# Checks what is under deploy/: the manifests are rendered as by `kubectl apply -k`, checked with Kubernetes' own schemas and
# manifests.py, and their contents are given to the programs that read them: the gateway, the task server and Prometheus.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
"$here/setup.sh"

tools=$root/.tools/deploy
binaries=${CARGO_TARGET_DIR:-target}/debug
gateway=${MCP_GATEWAY:-$binaries/mcp-gateway}
# The version of Kubernetes of the schemas and of kubectl.
kubernetes=1.35
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python() {
  "$tools/venv/bin/python" "$@"
}

# quietly WHAT COMMAND…: shows the output of the command only when it fails. (Not `if ! COMMAND`: that would ignore the first
# failure inside the command.)
quietly() {
  local what=$1 code
  shift
  set +e
  (set -e; "$@") >"$work/said" 2>&1
  code=$?
  set -e
  if [ "$code" -ne 0 ]; then
    cat "$work/said" >&2
    printf 'deploy: FAILED: %s\n' "$what" >&2
    exit 1
  fi
  printf 'deploy: ok: %s\n' "$what"
}

# refused EXIT-CODE TEXT COMMAND…: the command must exit with that code and print that text.
refused() {
  local code=$1 text=$2 got=0
  shift 2
  "$@" >"$work/refusal" 2>&1 || got=$?
  [ "$got" -eq "$code" ] && grep -q -- "$text" "$work/refusal" && return
  printf 'expected exit code %s and "%s"; got %s and:\n' "$code" "$text" "$got"
  cat "$work/refusal"
  return 1
}

render() {
  "$tools/kubectl" kustomize deploy/kubernetes -o "$work/rendered.yaml"
  "$tools/kubectl" kustomize deploy/kubernetes-shared-store -o "$work/shared-store.yaml"
}

schemas() {
  "$tools/venv/bin/kubernetes-validate" --kubernetes-version "$kubernetes" --strict "$@"
}

unknown_key() {
  sed 's/readOnlyRootFilesystem:/readOnlyRootFileSystem:/' "$work/rendered.yaml" >"$work/unknown-key.yaml"
  refused 1 readOnlyRootFileSystem schemas "$work/unknown-key.yaml"
}

rules_of_manifests() {
  python "$here/manifests.py" check "$1"
}

# Each line of the input breaks one rule of manifests.py, which must be found: the sed command on the rendering, then the finding.
broken_rules() {
  local edit finding
  while IFS='|' read -r edit finding; do
    sed "$edit" "$1" >"$work/broken.yaml"
    refused 1 "$finding" rules_of_manifests "$work/broken.yaml"
  done
}

promises() {
  broken_rules "$work/rendered.yaml" <<'EOF'
s/runAsNonRoot: true/runAsNonRoot: false/|can run as root
s/runAsUser: 65532/runAsUser: 1000/|the image as 65532:65532
s/containerPort: 9000/containerPort: 9001/|the image exposes
s/- run$/- check/|the pod has the arguments
s/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/|can write to its root
s/automountServiceAccountToken: false/automountServiceAccountToken: true/|token of its service account
s/- ALL/- CHOWN/|keeps capabilities
s/defaultMode: .*/defaultMode: 292/|not mounted with mode 0440
s/fsGroup: 65532/fsGroup: 0/|no fsGroup
s/terminationGracePeriodSeconds: .*/terminationGracePeriodSeconds: 35/|killed before its drain
s/address: 0.0.0.0:9090/address: 0.0.0.0:9191/|the configuration listens at
s/path: .readyz/path: \/livez/|does not request /readyz
s/minAvailable: 1/minAvailable: 2/|never allows a pod to be evicted
s/- 169.254.0.0.16/- 192.0.2.0\/24/|link-local
s/upstream-tasks:9000/upstream-tasks:9001/|has no port 9001
EOF
  broken_rules "$work/shared-store.yaml" <<'EOF'
s/mountPath: .var.lib.mcp-gateway/mountPath: \/var\/lib\/other/|not below a volume in memory
s/medium: Memory/medium: ""/|not below a volume in memory
s/rediss:/redis:/|without TLS
s/- port: 6379/- port: 6380/|does not allow traffic to the store
s/mountPath: .etc.mcp-gateway.authorization/mountPath: \/etc\/other/|is in no mounted folder
EOF
}

# Generated files for the paths of the configurations: `check` looks for them.
lay_out_mounts() {
  local own=$work/etc/authorization
  mkdir -p "$work/etc/tls" "$work/etc/session" "$own"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=mcp.example.com \
    -addext subjectAltName=DNS:mcp.example.com -keyout "$work/etc/tls/tls.key" -out "$work/etc/tls/tls.crt" 2>/dev/null
  openssl rand -out "$work/etc/session/session.key" 32
  openssl rand -hex 32 | tee "$own/authorization.key" "$own/provider.secret" >"$own/store.password"
  cp "$work/etc/tls/tls.crt" "$own/store-ca.crt"
  chmod 440 "$work/etc/tls/tls.key" "$work/etc/session/session.key" "$own"/*
  python "$here/manifests.py" config "$work/rendered.yaml" "$work/etc"
}

configuration() {
  lay_out_mounts
  "$gateway" check "$work/etc/gateway.yaml"
}

shared_store_configuration() {
  local place=$work/etc/shared-store
  mkdir "$place"
  mkdir -m 3777 "$work/etc/state"
  python "$here/manifests.py" config "$work/shared-store.yaml" "$place"
  sed -i "s|$place/|$work/etc/|; s|/var/lib/mcp-gateway/|$work/etc/state/|" "$place/gateway.yaml"
  "$gateway" check "$place/gateway.yaml" | grep 'redirect URI https://mcp.example.com/callback/corporate'
}

broken_configuration() {
  sed 's/^public_url:/public_uri:/' "$work/etc/gateway.yaml" >"$work/etc/broken.yaml"
  refused 2 public_uri "$gateway" check "$work/etc/broken.yaml"
}

# The task server, started with the arguments of its manifest except for port and folder, must accept the name of its service.
task_server() {
  local arguments address= status
  mapfile -t arguments < <(python "$here/manifests.py" arguments "$work/rendered.yaml" upstream-tasks |
    sed "s|0.0.0.0:9000|127.0.0.1:0|; s|/data/|$work/|")
  "$binaries/upstream-tasks" "${arguments[@]}" >"$work/upstream.log" 2>&1 &
  trap 'kill $! 2>/dev/null' EXIT
  for _ in {1..100}; do
    address=$(sed 's/\x1b\[[0-9;]*m//g' "$work/upstream.log" | sed -n 's/.*address=\(127[^ ]*\).*/\1/p')
    [ -z "$address" ] || break
    sleep 0.1
  done
  for host in upstream-tasks:9000 elsewhere:9000; do
    curl -sS -o /dev/null -w "$host %{http_code}\n" "http://$address/mcp" -H "Host: $host" \
      -H 'Accept: application/json, text/event-stream' -H 'Content-Type: application/json' \
      -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"check","version":"1"}}}'
  done >"$work/answers"
  cat "$work/upstream.log" "$work/answers"
  grep -qx 'upstream-tasks:9000 200' "$work/answers"
  grep -qx 'elsewhere:9000 403' "$work/answers"
}

# The image's test itself (image.py) needs static binaries, which take minutes to build: `make image-test` runs it.
dynamic_binary() {
  refused 1 "linked dynamically" scripts/image.sh "$binaries"
}

rules() {
  promtool check rules deploy/prometheus/alerts.yml
  sed "s|ALERTS|$root/deploy/prometheus/alerts.yml|" "$here/alerts.test.yml" >"$work/alerts.test.yml"
  promtool test rules "$work/alerts.test.yml"
}

# An alert on a metric that was renamed would never fire again.
known_metrics() {
  local metric
  for metric in $(grep -o 'mcp_gateway_[a-z_]*' deploy/prometheus/alerts.yml | sort -u); do
    grep -q "\"${metric#mcp_gateway_}\"" gateway/src/telemetry/metrics.rs || { echo "no metric $metric"; return 1; }
  done
}

# Debian's Prometheus is built without Kubernetes: it gets the pods from a file, with the labels of Kubernetes.
scraped_pods() {
  python "$here/manifests.py" targets "$work/rendered.yaml" >"$work/targets.json"
  python "$here/manifests.py" by-file deploy/prometheus/prometheus-kubernetes.yml "$work/targets.json" >"$work/prometheus.yml"
  promtool check config "$work/prometheus.yml"
  promtool check service-discovery --timeout=5s "$work/prometheus.yml" pods >"$work/discovered.json"
  python - "$work/discovered.json" <<'EOF'
import json, sys

scraped = [target["labels"] for target in json.load(open(sys.argv[1])) if target.get("labels")]
seen = {(pod["pod"], pod["__address__"], pod["__metrics_path__"], pod["job"], pod["namespace"]) for pod in scraped}
expected = {("mcp-gateway-0", "10.0.0.1:9090", "/metrics", "mcp-gateway", "mcp")}
assert seen == expected, f"Prometheus would scrape {seen}"
EOF
}

for binary in "$gateway" "$binaries/upstream-tasks"; do
  [ -x "$binary" ] || { printf 'deploy: %s is not built; run this by "make deploy-check"\n' "$binary" >&2; exit 1; }
done
quietly "kubectl renders the manifests" render
quietly "the manifests pass the strict schemas of Kubernetes $kubernetes" schemas "$work/rendered.yaml"
quietly "so do those with a shared store" schemas "$work/shared-store.yaml"
quietly "the schemas refuse an unknown key" unknown_key
quietly "pods are restricted, keys are private, names and ports agree" rules_of_manifests "$work/rendered.yaml"
quietly "and with a shared store" rules_of_manifests "$work/shared-store.yaml"
quietly "each broken rule is found" promises
quietly "the gateway accepts the configuration in the ConfigMap" configuration
quietly "and the one with a provider and a shared store" shared_store_configuration
quietly "the gateway refuses a broken configuration" broken_configuration
quietly "the task server starts with its manifest and accepts its name" task_server
quietly "a dynamic binary is refused for the image" dynamic_binary
quietly "Prometheus accepts its configuration" promtool check config deploy/prometheus/prometheus.yml
quietly "alerts fire when they should" rules
quietly "alerts use metrics that the gateway has" known_metrics
quietly "Prometheus scrapes only the gateway's pods" scraped_pods
printf 'deploy: manifests, configuration, scraping and alerts checked against Kubernetes %s, %s and %s\n' "$kubernetes" \
  "$("$gateway" --version)" "$(promtool --version 2>&1 | sed -n '1s/^promtool, version \([^ ]*\).*/Prometheus \1/p')"
