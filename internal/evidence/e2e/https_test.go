package e2e

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/config"
	"oncegate/internal/local/cloudfront"
)

// mintOnce makes the artifact mint once, with the token from the environment, against an
// S3 that accepts everything. It prints status and reason.
const mintOnce = `
import http from 'node:http';
const s3 = http.createServer((q, s) => { q.resume(); q.on('end', () => s.end()); });
await new Promise((resolve) => s3.listen(0, '127.0.0.1', resolve));
process.env.AWS_ENDPOINT_URL_S3 = 'http://127.0.0.1:' + s3.address().port;
const { mint } = await import(process.env.ARTIFACT + '/index.mjs');
const headers = { host: [{ value: 'h' }], authorization: [{ value: 'Bearer ' + process.env.TOKEN }] };
const event = { Records: [{ cf: { config: { eventType: 'viewer-request', requestId: 'r' },
  request: { method: 'GET', uri: '/url', querystring: '', clientIp: '', headers } } }] };
const end = Date.now() + 20000;
const response = await mint(event, { getRemainingTimeInMillis: () => end - Date.now() });
console.error(response.status, response.headers['x-oncegate-reason']?.[0].value ?? '');
process.exit();
`

// TestKeysByHTTPS: keys are accepted only from a site whose certificate Node trusts.
func TestKeysByHTTPS(t *testing.T) {
	issuer := newIssuer(t)
	site := httptest.NewTLSServer(issuer)
	defer site.Close()
	site.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	// The certificate is for 127.0.0.1 and example.com, and its own authority.
	if err := writeFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw})); err != nil {
		t.Fatal(err)
	}
	node, err := cloudfront.FindNode(root, config.Node22)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, url, trusted, want string
	}{
		{"a trusted certificate", site.URL + "/keys", trusted, "200"},
		{"a certificate that nobody vouches for", site.URL + "/keys", "", "503 keys-unavailable"},
		{"a certificate for another name", strings.Replace(site.URL, "127.0.0.1", "localhost", 1) + "/keys", trusted, "503 keys-unavailable"},
		{"no TLS behind https", strings.Replace(issuer.URL, "http:", "https:", 1) + "/keys", trusted, "503 keys-unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "build", "edge"))); err != nil {
				t.Fatalf("%v: run `make build`", err)
			}
			settings, err := json.Marshal(map[string]any{"bucket": "abc", "auth": map[string]any{
				"jwt": map[string]string{"issuer": "https://issuer.example", "audience": "uploads", "jwks": tt.url},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := writeFile(filepath.Join(dir, "config.json"), settings); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), node, "--input-type=module", "--eval", mintOnce)
			command.Env = []string{
				"ARTIFACT=" + dir, "TOKEN=" + issuer.rs256(t, nil), "NODE_EXTRA_CA_CERTS=" + tt.trusted, "_HANDLER=index.mint",
				"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token",
			}
			var stderr strings.Builder
			command.Stderr = &stderr
			if err := command.Run(); err != nil || strings.TrimSpace(stderr.String()) != tt.want {
				t.Errorf("got %q, %v, want %q", stderr.String(), err, tt.want)
			}
		})
	}
}
