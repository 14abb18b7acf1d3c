package clients

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/cloudfront"
)

const root = "../../.."

// client uploads a file with a URL and returns "<status> <reason>" of the answer.
type client func(t *testing.T, url, file string) string

// good are clients as their manuals have them.
var good = map[string]client{
	"curl -T":                curl("-T", "FILE"),
	"curl --data-binary":     curl("-X", "PUT", "--data-binary", "@FILE"),
	"curl -u":                curl("-u", "me:secret", "-T", "FILE"),
	"curl --anyauth":         curl("--anyauth", "-u", "me:secret", "-T", "FILE"),
	"curl --negotiate":       curl("--negotiate", "-u", ":", "-T", "FILE"),
	"curl -T, HTTP/1.0":      curl("--http1.0", "-T", "FILE"),
	"wget":                   wget,
	"Go":                     goClient(func(raw string) string { return raw }),
	"Go, encoded anew":       goClient(encodedAnew),
	"Python aiohttp":         python("aiohttp", "aiohttp_client.py"),
	"Python requests":        python("requests", "requests_client.py"),
	"Python httpx":           python("httpx", "httpx_client.py"),
	"Python http.client":     python("http.client", "httpclient.py"),
	"Ruby Faraday":           ruby("faraday", "faraday.rb"),
	"Ruby Net::HTTP":         ruby("net/http", "nethttp.rb"),
	"PHP curl":               php("curl.php"),
	"PHP stream":             php("stream.php"),
	"PHP Guzzle":             php("guzzle.php"),
	"Java HttpURLConnection": java("HttpURL.java"),
	"Java java.net.http":     java("JavaNetHttp.java"),
	"Java OkHttp":            java("OkHttp.java"),
	"Node axios":             node("axios"),
	"Node got":               node("got"),
	"Node undici":            node("undici"),
	"Node fetch":             node("fetch"),
	"Node fetch, sorted":     node("sorted"),
}

// TestClients: each client stores the right bytes, spends the URL, and has its second
// upload refused.
func TestClients(t *testing.T) {
	st := testbed.New(t)
	for name, upload := range good {
		t.Run(name, func(t *testing.T) {
			file, content := recording(t)
			m := st.Mint(t)
			if got := upload(t, m.URL, file); got != "200" {
				t.Fatalf("the first upload: %q, want 200", got)
			}
			if st.Stored(t, m.Key) != content {
				t.Error("other bytes are stored than were sent")
			}
			if got := upload(t, m.URL, file); got != "403 used" {
				t.Errorf("the second upload: %q, want 403 used", got)
			}
			st.WantVersions(t, m.Key, 1)
			st.WantClaims(t, m.ID, 1)
		})
	}
}

// recording is a file of which no byte may get lost.
func recording(t *testing.T) (path, content string) {
	t.Helper()
	return random(t, "recording.bin", 100_000)
}

// random makes a file of this size with random content, the same each time.
func random(t *testing.T, name string, size int) (path, content string) {
	t.Helper()
	bytes := make([]byte, size)
	source := rand.NewChaCha8([32]byte{13})
	source.Read(bytes)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, string(bytes)
}

// run runs a program in testdata and returns what it prints.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "testdata"
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if err := cmd.Run(); err != nil {
		t.Logf("%s: %v\n%s", filepath.Base(name), err, diagnostics.String())
	}
	return strings.TrimSpace(out.String()), diagnostics.String()
}

// curl runs curl with these arguments, FILE being the file, and the URL.
func curl(args ...string) client {
	return func(t *testing.T, url, file string) string {
		given := []string{"-sS", "-o", filepath.Join(t.TempDir(), "answer"), "-w", "%{http_code} %header{x-oncegate-reason}"}
		for _, arg := range args {
			given = append(given, strings.ReplaceAll(arg, "FILE", file))
		}
		answer, _ := run(t, testbed.Program(t, "curl"), append(given, url)...)
		return answer
	}
}

var wgetAnswer = regexp.MustCompile(`(?is)HTTP/1\.1 (\d+)(?:.*?x-oncegate-reason: (\S+))?`)

func wget(t *testing.T, url, file string) string {
	_, log := run(t, testbed.Program(t, "wget"), "-O", os.DevNull, "--server-response", "--method=PUT", "--body-file="+file, url)
	answer := wgetAnswer.FindStringSubmatch(log)
	if answer == nil {
		t.Fatalf("no answer in %s", log)
	}
	return strings.TrimSpace(answer[1] + " " + answer[2])
}

// encodedAnew is the URL as a program writes it that reads the query and prints it again.
func encodedAnew(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	u.RawQuery = u.Query().Encode()
	return u.String()
}

func goClient(spell func(string) string) client {
	return func(t *testing.T, url, file string) string {
		body, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		info, err := body.Stat()
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, spell(url), body)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = info.Size()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return strings.TrimSpace(answer.Status[:3] + " " + answer.Header.Get("x-oncegate-reason"))
	}
}

// with finds a program that can load a library, which is what the check runs: the first
// python3 of a path need not be Debian's.
func with(t *testing.T, library string, programs []string, check ...string) string {
	t.Helper()
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil && exec.CommandContext(t.Context(), path, check...).Run() == nil {
			return path
		}
	}
	testbed.Missing(t, library)
	return ""
}

func python(module, script string) client {
	return func(t *testing.T, url, file string) string {
		interpreter := with(t, "Python with "+module, []string{"python3", "/usr/bin/python3"}, "-c", "import "+module)
		answer, _ := run(t, interpreter, script, url, file)
		return answer
	}
}

func ruby(library, script string) client {
	return func(t *testing.T, url, file string) string {
		interpreter := with(t, "Ruby with "+library, []string{"ruby", "/usr/bin/ruby"}, "-e", "require '"+library+"'")
		answer, _ := run(t, interpreter, script, url, file)
		return answer
	}
}

func php(script string) client {
	return func(t *testing.T, url, file string) string {
		interpreter := with(t, "PHP with curl and Guzzle", []string{"php", "/usr/bin/php"}, "-r",
			`require '/usr/share/php/GuzzleHttp/autoload.php'; exit(function_exists('curl_init') ? 0 : 1);`)
		answer, _ := run(t, interpreter, script, url, file)
		return answer
	}
}

// java runs a source file. OkHttp is where Debian has it.
func java(source string) client {
	const libraries = "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"
	return func(t *testing.T, url, file string) string {
		runtime := testbed.Program(t, "java")
		if _, err := os.Stat("/usr/share/java/okhttp.jar"); err != nil && strings.HasPrefix(source, "OkHttp") {
			testbed.Missing(t, "OkHttp")
		}
		answer, _ := run(t, runtime, "-cp", libraries, source, url, file)
		return answer
	}
}

// nodePath is the Node that the functions run in.
func nodePath(t *testing.T) string {
	t.Helper()
	path, err := cloudfront.FindNode(root, cloudfront.Node22)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func node(name string) client {
	return func(t *testing.T, url, file string) string {
		interpreter := nodePath(t)
		if _, err := os.Stat("testdata/node_modules"); err != nil {
			t.Fatalf("`make clients` fetches the clients of npm: %v", err)
		}
		answer, _ := run(t, interpreter, "node.mjs", name, url, file)
		return answer
	}
}
