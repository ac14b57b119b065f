import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The HTTP client of the JDK with its default settings: it offers HTTP/2 on a plain connection (Upgrade: h2c), follows
 * no redirect, and keeps its connections.
 *
 * Usage: java JdkClient.java BASE IMAGE [KEY]. Prints a line for each request: what was asked, the status, the version of HTTP
 * and the body, with tabs between.
 */
class JdkClient {
    private static final String BOUNDARY = "a-boundary";
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static String key = "none";

    public static void main(String[] arguments) throws Exception {
        String base = arguments[0];
        byte[] image = Files.readAllBytes(Path.of(arguments[1]));
        key = arguments.length > 2 ? arguments[2] : key;
        for (String path : new String[] {"/predictor/", "/predictor", "/model/v1/predictor/", "//predictor/"}) {
            say("form " + path, form(base + path, image, "model_type", "image_queue_yolov5"));
        }
        String predict = "/v1/models/benthic-demo/predict";
        say("form " + predict, form(base + predict, image, "max_detections", "1"));
        say("raw " + predict, post(base + predict, "image/png", image));
        say("unknown /predictor/", form(base + "/predictor/", image, "model_type", "nobody"));
        say("unknown /v1", post(base + "/v1/models/nobody/predict", "image/png", image));
        say("get /v1/models", send(HttpRequest.newBuilder(URI.create(base + "/v1/models"))));
    }

    private static HttpResponse<String> form(String uri, byte[] image, String name, String value) throws Exception {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write(part("name=\"" + name + "\"", "text/plain; charset=UTF-8"));
        body.write(value.getBytes(StandardCharsets.UTF_8));
        body.write("\r\n".getBytes(StandardCharsets.US_ASCII));
        body.write(part("name=\"file\"; filename=\"frame.jpg\"", "image/jpeg"));
        body.write(image);
        body.write(("\r\n--" + BOUNDARY + "--\r\n").getBytes(StandardCharsets.US_ASCII));
        return post(uri, "multipart/form-data; boundary=" + BOUNDARY, body.toByteArray());
    }

    private static byte[] part(String disposition, String type) {
        String head = "--" + BOUNDARY + "\r\nContent-Disposition: form-data; " + disposition + "\r\n";
        return (head + "Content-Type: " + type + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
    }

    private static HttpResponse<String> post(String uri, String type, byte[] body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(uri)).header("Content-Type", type);
        return send(request.POST(BodyPublishers.ofByteArray(body)));
    }

    private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
        return CLIENT.send(request.header("X-API-Key", key).build(), BodyHandlers.ofString());
    }

    private static void say(String what, HttpResponse<String> answer) {
        System.out.println(what + "\t" + answer.statusCode() + "\t" + answer.version() + "\t" + answer.body());
    }
}
