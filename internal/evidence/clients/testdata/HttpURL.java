import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

class HttpURL {
    public static void main(String[] args) throws Exception {
        byte[] file = Files.readAllBytes(Path.of(args[1]));
        HttpURLConnection connection = (HttpURLConnection) new URL(args[0]).openConnection();
        connection.setRequestMethod("PUT");
        connection.setDoOutput(true);
        try (OutputStream body = connection.getOutputStream()) {
            body.write(file);
        }
        String reason = connection.getHeaderField("x-oncegate-reason");
        System.out.println(connection.getResponseCode() + " " + (reason == null ? "" : reason));
    }
}
