package cloudfront

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestForeignHost: a viewer that has found this machine by a name of somebody else's gets
// neither a function nor the origin, and is told what to do.
func TestForeignHost(t *testing.T) {
	var asked atomic.Int32
	f := start(t, pass, func(http.ResponseWriter, *http.Request) { asked.Add(1) },
		func(o *Options) { o.Hosts = []string{"Phone.example", "192.0.2.7", "2001:db8::7"} })
	ask := func(request string) (int, string) {
		t.Helper()
		res := f.raw("PUT", request)
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for _, host := range []string{
		"localhost", "localhost:8080", "LOCALHOST:8080", "localhost.", "localhost.:8080", "a.localhost", "a.b.localhost:1",
		"127.0.0.1", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]:1",
		"phone.example", "PHONE.example:8080", "phone.example.", "192.0.2.7:8080", "[2001:db8::7]:8080",
	} {
		before := asked.Load()
		if status, body := ask("PUT /x HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n"); status != 200 || asked.Load() != before+1 {
			t.Errorf("host %s: %d %s, the origin asked %d times; want 200, once", host, status, body, asked.Load()-before)
		}
	}
	if status, _ := ask("PUT /x HTTP/1.0\r\nContent-Length: 0\r\n\r\n"); status != 200 {
		t.Errorf("without a host, in HTTP/1.0: %d, want what the functions say, which is 200", status)
	}
	before := asked.Load()
	for _, host := range []string{
		"rebind.example", "rebind.example:8080", "localhost.example", "notlocalhost", "xlocalhost:8080", "localhost..", "127.0.0.1.example",
		"a.phone.example", "phone.example.evil.example", "0.0.0.0:8080", "0", "127.1", "2130706433", "0x7f000001", "192.0.2.8", "[::]", "[::2]:8080",
		"10.0.0.1", "169.254.1.1", "d111111abcdef8.cloudfront.net",
	} {
		for _, path := range []string{"/x", "/url", "/url/x"} {
			status, body := ask("PUT " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n")
			if status != http.StatusMisdirectedRequest || !strings.Contains(body, "oncegate dev --host NAME") {
				t.Errorf("host %s, %s: %d %s, want 421 and the flag", host, path, status, body)
			}
			if strings.Contains(body, host) && len(host) > 9 {
				t.Errorf("host %s: the page says it again", host)
			}
		}
	}
	if asked.Load() != before {
		t.Errorf("the origin was asked %d times for a foreign host", asked.Load()-before)
	}
}
