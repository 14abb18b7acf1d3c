package edge_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestMintUnavailable: a URL that could not be registered is not handed out.
func TestMintUnavailable(t *testing.T) {
	w := newWorld(t)
	w.index.Intercept = always("WriteValid", onetimetest.Fault{Status: 503})
	result := w.run(t, edge.MintFunction, load(t, "get-url.json"))
	if got := reasonOf(t, result); got != onetime.IndexUnavailable || result.Response.Status != "503" {
		t.Errorf("result %+v, want 503 index-unavailable", result)
	}
	if body := result.Response.Body; strings.Contains(body, "://") {
		t.Errorf("body %q", body)
	}
}

// TestWriteOnce: the header that makes S3 refuse a second object is the gate's, in
// place of the viewer's.
func TestWriteOnce(t *testing.T) {
	w := newWorld(t)
	w.Gate.WriteOnce = true
	path, query := w.mint(t)
	forward := w.run(t, edge.GateFunction, upload(t, path, query)).Forward
	if forward == nil {
		t.Fatal("refused")
	}
	if want := (edge.Headers{"if-none-match": {{Value: "*"}}}); !reflect.DeepEqual(forward.Set, want) {
		t.Errorf("sets %v, want %v", forward.Set, want)
	}
	if !strings.Contains(forward.Querystring, "X-Amz-SignedHeaders=host%3Bif-none-match") {
		t.Error("the header is not signed")
	}
}

// TestRefusalLog: a fault stands out in the log, a refusal of what is none does not,
// and both tell which URL it was.
func TestRefusalLog(t *testing.T) {
	w := newWorld(t)
	path, query := w.mint(t)
	id := string(onetime.Fingerprint(path, query))
	refused := func() string {
		w.log.Reset()
		if result := w.run(t, edge.GateFunction, upload(t, path, query)); result.Response == nil {
			t.Fatal("passed")
		}
		return w.log.String()
	}
	w.index.Intercept = always("ReadValid", onetimetest.Fault{Status: 403})
	if log := refused(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, `"id":"`+id+`"`) {
		t.Errorf("a fault is logged as %s", log)
	}
	w.index.Intercept = nil
	if w.run(t, edge.GateFunction, upload(t, path, query)).Forward == nil {
		t.Fatal("refused")
	}
	if log := refused(); !strings.Contains(log, `"level":"INFO"`) || !strings.Contains(log, `"id":"`+id+`"`) {
		t.Errorf("a second upload is logged as %s", log)
	}
}

// TestRefusalsNameTheURL: whoever looks for a customer's attempt finds it by the id,
// wherever path and query are those of a URL.
func TestRefusalsNameTheURL(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world, *edge.Request)
		named  bool
	}{
		"expired":    {func(w *world, _ *edge.Request) { w.clock.Set(start.Add(2 * time.Hour)) }, true},
		"no length":  {func(_ *world, r *edge.Request) { delete(r.Headers, "content-length") }, true},
		"a header":   {func(_ *world, r *edge.Request) { r.Headers["x-amz-copy-source"] = []edge.Header{{Value: "a"}} }, true},
		"GET":        {func(_ *world, r *edge.Request) { r.Method = "GET" }, true},
		"no query":   {func(_ *world, r *edge.Request) { r.Querystring = "" }, false},
		"other path": {func(_ *world, r *edge.Request) { r.URI = "/uploads/x" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			path, query := w.mint(t)
			w.log.Reset()
			event := upload(t, path, query)
			test.change(w, &event.Records[0].CF.Request)
			if result := w.run(t, edge.GateFunction, event); result.Response == nil {
				t.Fatal("passes")
			}
			id := `"id":"` + string(onetime.Fingerprint(path, query)) + `"`
			if log := w.log.String(); strings.Contains(log, id) != test.named || strings.Contains(log, `"id"`) != test.named {
				t.Errorf("log %s, want the id: %v", log, test.named)
			}
		})
	}
}
