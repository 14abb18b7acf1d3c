import java.io.File;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

class OkHttp {
    public static void main(String[] args) throws Exception {
        OkHttpClient client = new OkHttpClient();
        RequestBody body = RequestBody.create(MediaType.parse("application/octet-stream"), new File(args[1]));
        Request request = new Request.Builder().url(args[0]).put(body).build();
        try (Response answer = client.newCall(request).execute()) {
            System.out.println(answer.code() + " " + answer.header("x-oncegate-reason", ""));
        }
        System.exit(0); // its threads go on for a minute
    }
}
