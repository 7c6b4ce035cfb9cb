import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Calls an MCP server with the JDK's HTTP client as it is by default: it offers HTTP/2. Prints a line for each answer.
 *
 * <p>Arguments: the URL, a token, and for https a PEM file with the certificate of the authority.
 */
class Post {
    static final String INITIALIZE =
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
                    + "\"capabilities\":{},\"clientInfo\":{\"name\":\"jdk\",\"version\":\"1\"}}}";

    public static void main(String[] arguments) throws Exception {
        HttpClient.Builder builder = HttpClient.newBuilder();
        if (arguments.length > 2) {
            builder.sslContext(trusting(arguments[2]));
        }
        HttpClient client = builder.build();
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(arguments[0]))
                        .header("Accept", "application/json, text/event-stream")
                        .header("Authorization", "Bearer " + arguments[1]);
        HttpRequest post =
                request.copy()
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(INITIALIZE))
                        .build();
        // The offer is made on each new connection, so the second request shows that the first one left the connection usable.
        for (HttpRequest next : List.of(post, post, request.copy().GET().build())) {
            HttpResponse<String> answer = client.send(next, HttpResponse.BodyHandlers.ofString());
            System.out.println(
                    next.method() + " " + answer.statusCode() + " " + answer.version() + " " + answer.body().strip().replace("\n", " "));
        }
    }

    private static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (FileInputStream pem = new FileInputStream(file)) {
            store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}
