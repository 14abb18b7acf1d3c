package main

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"oncegate/internal/locals3"
	"oncegate/internal/locals3/locals3test"
	"oncegate/internal/localstack"
)

// TestMain lets scripts call this program: the test binary is it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"oncegate": main})
}

// TestScripts runs testdata/script, the manual of the verbs, on the whole chain:
// real Node behind HTTP, a real S3 server. Besides what testscript brings there is
//
//	mint NAME [QUERY]   GET /url, with this query; $NAME is the URL, $NAME_ID its fingerprint, $NAME_KEY its object,
//	                    $NAME_QUERY its query
//	upload URL BODY     PUT the body
//	lose N CALL URL     the next N answers to such requests of S3 for this URL get lost
//	exits N PROGRAM …   runs the program, which must end with this exit status
//	readkey NAME FILE   $NAME is the text of the file
//
// upload prints the status and the reason of the answer.
func TestScripts(t *testing.T) {
	st := localstack.New(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("AWS_ENDPOINT_URL_S3", st.S3.URL())
			env.Setenv("AWS_ACCESS_KEY_ID", locals3test.AccessKey)
			env.Setenv("AWS_SECRET_ACCESS_KEY", locals3test.SecretKey)
			env.Setenv("AWS_REGION", locals3test.Region)
			return os.WriteFile(env.WorkDir+"/config.json", []byte(`{"bucket":"`+locals3test.Bucket+`","region":"`+locals3test.Region+`"}`), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mint": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 1 || len(args) > 2 {
					ts.Fatalf("usage: mint NAME [QUERY]")
				}
				a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url?"+strings.Join(args[1:], ""), nil, nil)
				if a.Status != http.StatusOK {
					ts.Fatalf("mint: %v", a)
				}
				m := localstack.ParseMinted(t, strings.TrimSpace(a.Body))
				ts.Setenv(args[0], m.URL)
				ts.Setenv(args[0]+"_ID", string(m.ID))
				ts.Setenv(args[0]+"_KEY", m.Key)
				_, query, _ := strings.Cut(m.URL, "?")
				ts.Setenv(args[0]+"_QUERY", query)
			},
			"upload": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: upload URL BODY")
				}
				a := st.Do(t, http.MethodPut, args[0], nil, strings.NewReader(args[1]))
				_, err := ts.Stdout().Write([]byte(strings.TrimSpace(http.StatusText(a.Status)+" "+a.Reason()) + "\n"))
				ts.Check(err)
			},
			"lose": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 3 || len(args[0]) != 1 {
					ts.Fatalf("usage: lose N CALL URL")
				}
				m := localstack.ParseMinted(t, args[2])
				left := int(args[0][0] - '0')
				var mu sync.Mutex
				st.FaultOn(string(m.ID), func(r *http.Request) locals3.Fault {
					mu.Lock()
					defer mu.Unlock()
					if left == 0 || locals3.Call(r) != args[1] {
						return locals3.Fault{}
					}
					left--
					return locals3.Fault{Kind: locals3.Drop, Apply: true}
				})
			},
			"readkey": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: readkey NAME FILE")
				}
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits STATUS PROGRAM ARGS...")
				}
				status := 0
				if exit, ok := errors.AsType[*exec.ExitError](ts.Exec(args[1], args[2:]...)); ok {
					status = exit.ExitCode()
				}
				if strconv.Itoa(status) != args[0] {
					ts.Fatalf("exit status %d, want %s", status, args[0])
				}
			},
		},
	})
}
