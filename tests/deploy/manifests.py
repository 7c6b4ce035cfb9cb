"""Checks of the rendered manifests that schemas cannot express, and extraction of their contents for other programs.

    manifests.py check RENDERED                 every pod is restricted, keys are private, names and ports agree
    manifests.py config RENDERED DIRECTORY      write gateway.yaml, its paths under /etc/mcp-gateway moved to DIRECTORY
    manifests.py arguments RENDERED NAME        the arguments of that deployment's container, one a line
    manifests.py targets RENDERED               the pods as a Prometheus file of targets, with Kubernetes' discovery labels
    manifests.py by-file CONFIG TARGETS         a Prometheus configuration that discovers those targets instead of pods
"""

import json
import pathlib
import re
import sys

import yaml

GATEWAY = "mcp-gateway"
MOUNTS = "/etc/mcp-gateway"
CONTAINERFILE = pathlib.Path(__file__).resolve().parents[2] / "deploy/Containerfile"


class Manifests:
    def __init__(self, path):
        with open(path) as file:
            self.all = [document for document in yaml.safe_load_all(file) if document]

    def of(self, kind):
        return [document for document in self.all if document["kind"] == kind]

    def one(self, kind, name):
        (found,) = [document for document in self.of(kind) if document["metadata"]["name"] == name]
        return found

    def config_text(self):
        (config,) = self.of("ConfigMap")
        return config["data"]["gateway.yaml"]


def check(manifests):
    """Every finding, as (where, what)."""
    for deployment in manifests.of("Deployment"):
        name = deployment["metadata"]["name"]
        findings = [*restricted(deployment), *reachable(manifests, deployment), *isolated(manifests, deployment)]
        for finding in [*findings, *agrees_with_image(deployment)]:
            yield name, finding
    for finding in [*closed_keys(manifests), *probes_and_end(manifests), *agrees_with_config(manifests)]:
        yield GATEWAY, finding


def restricted(deployment):
    """The profile `restricted` of the pod security standards, and two things that it does not cover: root file system and token."""
    pod = deployment["spec"]["template"]["spec"]
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "the pod can run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of its service account"
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(forbidden):
            yield f"the pod uses {forbidden}"
    for volume in pod.get("volumes", []):
        if not volume.keys() & {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected"}:
            yield f"volume {volume['name']} is of a kind that is not allowed"
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"container {container['name']} can gain privileges"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"container {container['name']} keeps capabilities"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"container {container['name']} can write to its root"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"container {container['name']} has no memory limit"
        if not re.fullmatch(r"[\w./-]+:[\w.-]+", container["image"]):
            yield f"image {container['image']} has no tag"


def reachable(manifests, deployment):
    """A service selects the pods and leads to a port they have."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    if deployment["spec"]["selector"]["matchLabels"].items() - labels.items():
        yield "the deployment does not select its own pods"
    services = [service for service in manifests.of("Service") if selects(service["spec"]["selector"], labels)]
    if len(services) != 1:
        yield f"{len(services)} services lead to the pods"
    for service in services:
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports(deployment):
                yield f"service port {port['name']} leads to {port['targetPort']}, which the pods do not have"


def isolated(manifests, deployment):
    """One network policy covers the pods in both directions, and no rule of it allows traffic to every address on every port."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    policies = [policy for policy in manifests.of("NetworkPolicy") if selects(policy["spec"]["podSelector"]["matchLabels"], labels)]
    if len(policies) != 1:
        yield f"{len(policies)} network policies cover the pods"
    for policy in policies:
        if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
            yield "the network policy leaves a direction open"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("to") or not rule.get("ports"):
                yield "the network policy allows traffic to any address, or on any port"
            for peer in rule.get("to", []):
                block = peer.get("ipBlock")
                if block and (rule["ports"] != [{"port": 443, "protocol": "TCP"}] or "169.254.0.0/16" not in block.get("except", [])):
                    yield f"the network policy allows traffic to {block['cidr']} on other ports than https, or to the link-local range"
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                if port["port"] not in ports(deployment):
                    yield f"the network policy names the port {port['port']}, which the pods do not have"
                if port["port"] == "admin" and not rule.get("from"):
                    yield "the network policy opens the admin port to every peer"


def closed_keys(manifests):
    """Secrets are readable only by the pod's group."""
    pod = manifests.one("Deployment", GATEWAY)["spec"]["template"]["spec"]
    if not pod["securityContext"].get("fsGroup"):
        yield "the pod has no fsGroup to read its keys"
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    for name, secret in secrets.items():
        if secret.get("defaultMode") != 0o440:
            yield f"secret {name} is not mounted with mode 0440"
    if manifests.of("Secret"):
        yield "a Secret is part of the manifests; refer to an existing one instead"
    scratch = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    for mount in pod["containers"][0]["volumeMounts"]:
        if mount.get("readOnly") is not True and mount["name"] not in scratch:
            yield f"{mount['name']} is mounted writable"


def probes_and_end(manifests):
    """The probes use the admin port, and the grace period is longer than the drain."""
    deployment = manifests.one("Deployment", GATEWAY)
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    for probe, path in {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}.items():
        probed = container.get(probe, {}).get("httpGet", {})
        if (probed.get("path"), probed.get("port")) != (path, "admin"):
            yield f"the {probe} does not request {path} at the admin port"
    shutdown = yaml.safe_load(manifests.config_text())["shutdown"]
    if pod["terminationGracePeriodSeconds"] <= seconds(shutdown["delay"]) + seconds(shutdown["drain"]):
        yield "the pod is killed before its drain is over"
    (budget,) = manifests.of("PodDisruptionBudget")
    if not selects(budget["spec"]["selector"]["matchLabels"], deployment["spec"]["template"]["metadata"]["labels"]):
        yield "the disruption budget covers no pod of the gateway"
    if deployment["spec"]["replicas"] <= budget["spec"]["minAvailable"]:
        yield "the disruption budget never allows a pod to be evicted"


def agrees_with_config(manifests):
    """The configuration listens on the ports of the pod, reads mounted files, and reaches its upstream."""
    deployment = manifests.one("Deployment", GATEWAY)
    pod = deployment["spec"]["template"]
    config = yaml.safe_load(manifests.config_text())
    listens = {"https": port_of(config["listen"][0]["address"]), "admin": port_of(config["admin"]["address"])}
    if listens != ports(deployment):
        yield f"the configuration listens at {listens}, the pod declares {ports(deployment)}"
    if pod["metadata"]["annotations"].get("prometheus.io/port") != str(listens["admin"]):
        yield "Prometheus scrapes another port than the admin listener's"
    mounts = {mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    paths = re.findall(re.escape(MOUNTS) + r"[\w./-]+", manifests.config_text()) + pod["spec"]["containers"][0]["args"][1:]
    for path in paths:
        if str(pathlib.PurePath(path).parent) not in mounts:
            yield f"{path} is in no mounted folder"
    yield from agrees_with_store(manifests, config, pod["spec"])
    for resource in config["resources"]:
        host, port = re.match(r"http://([\w-]+):(\d+)/", resource["upstream"]).groups()
        if int(port) not in [port["port"] for port in manifests.one("Service", host)["spec"]["ports"]]:
            yield f"the service {host} has no port {port}"
        allowed = [
            rule
            for rule in manifests.one("NetworkPolicy", GATEWAY)["spec"]["egress"]
            if {"podSelector": {"matchLabels": manifests.one("Service", host)["spec"]["selector"]}} in rule["to"]
            and {"port": ports(manifests.one("Deployment", host))["mcp"], "protocol": "TCP"} in rule["ports"]
        ]
        if not allowed:
            yield f"the network policy does not allow traffic from the gateway to {host}"


def agrees_with_store(manifests, config, pod):
    """The state is in a folder that the gateway makes in a volume, and the shared store is reached by TLS. A volume on disk has mode
    0777, one in memory the sticky bit too, without which the gateway refuses it."""
    server = config.get("authorization_server")
    if not server:
        return
    scratch = {volume["name"] for volume in pod["volumes"] if volume.get("emptyDir", {}).get("medium") == "Memory"}
    folders = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in scratch]
    if str(pathlib.PurePath(server["directory"]).parent) not in folders:
        yield f"the directory {server['directory']} is not below a volume in memory"
    scheme, port = re.match(r"(rediss?)://[\w.-]+:(\d+)/", server["store"]["redis"]["url"]).groups()
    if scheme != "rediss":
        yield "the store is reached without TLS"
    rules = manifests.one("NetworkPolicy", GATEWAY)["spec"]["egress"]
    if not any({"port": int(port), "protocol": "TCP"} in rule["ports"] for rule in rules):
        yield f"the network policy does not allow traffic to the store at port {port}"


def agrees_with_image(deployment):
    """The pod has the user, the ports and the command of its image."""
    image = images()[deployment["metadata"]["name"]]
    pod = deployment["spec"]["template"]["spec"]
    user = "{runAsUser}:{runAsGroup}".format_map({"runAsUser": None, "runAsGroup": None, **pod["securityContext"]})
    if user != image["USER"]:
        yield f"the pod runs as {user}, the image as {image['USER']}"
    exposed = sorted(int(port) for port in image["EXPOSE"].split())
    if exposed != sorted(ports(deployment).values()):
        yield f"the pod declares {ports(deployment)}, the image exposes {exposed}"
    container = pod["containers"][0]
    if "command" in container:
        yield "the pod replaces the image's entry point"
    if "CMD" in image and json.loads(image["CMD"]) != container["args"]:
        yield f"the pod has the arguments {container['args']}, the image {image['CMD']}"


def images():
    """The instructions of each stage in the Containerfile that say how it runs, with those of its base."""
    stages = {"scratch": {}}
    for line in CONTAINERFILE.read_text().splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name] = dict(stages[base])
        elif instruction in ("USER", "EXPOSE", "CMD"):
            stage[instruction] = rest
    return stages


def selects(selector, labels):
    return not selector.items() - labels.items()


def ports(deployment):
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {port["name"]: port["containerPort"] for container in containers for port in container["ports"]}


def seconds(duration):
    return int(re.fullmatch(r"(\d+)s", duration).group(1))


def port_of(address):
    return int(address.rpartition(":")[2])


def discovered_targets(manifests):
    """The pods as Prometheus discovers them in Kubernetes: one target for each declared port."""
    for number, deployment in enumerate(manifests.of("Deployment"), 1):
        metadata = deployment["spec"]["template"]["metadata"]
        address = f"10.0.0.{number}"
        labels = {
            "__meta_kubernetes_namespace": deployment["metadata"]["namespace"],
            "__meta_kubernetes_pod_name": f"{deployment['metadata']['name']}-0",
            "__meta_kubernetes_pod_ip": address,
        }
        for kind in ("labels", "annotations"):
            for name, value in metadata.get(kind, {}).items():
                labels[f"__meta_kubernetes_pod_{kind[:-1]}_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}"] = value
        for port in ports(deployment).values():
            yield {"targets": [f"{address}:{port}"], "labels": labels}


def discover_by_file(config, targets):
    config = yaml.safe_load(pathlib.Path(config).read_text())
    (job,) = config["scrape_configs"]
    del job["kubernetes_sd_configs"]
    job["file_sd_configs"] = [{"files": [targets]}]
    return yaml.safe_dump({"scrape_configs": [job]})


def main(command, path, *rest):
    if command == "by-file":
        print(discover_by_file(path, *rest))
        return
    manifests = Manifests(path)
    if command == "check":
        findings = list(check(manifests))
        for where, what in findings:
            print(f"{where}: {what}", file=sys.stderr)
        sys.exit(1 if findings else 0)
    elif command == "config":
        pathlib.Path(rest[0], "gateway.yaml").write_text(manifests.config_text().replace(MOUNTS, rest[0]))
    elif command == "arguments":
        print(*manifests.one("Deployment", rest[0])["spec"]["template"]["spec"]["containers"][0]["args"], sep="\n")
    elif command == "targets":
        json.dump(list(discovered_targets(manifests)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
