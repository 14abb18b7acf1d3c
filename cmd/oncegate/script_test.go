package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// TestMain lets scripts call this program: the test binary is it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"oncegate": main})
}

// TestScripts runs testdata/script, the manual of the verbs, on the whole chain:
// real Node behind HTTP, a real S3 server. Besides what testscript brings there is
//
//	mint NAME [QUERY]   GET /url, with this query; $NAME is the URL, $NAME_ID its id, $NAME_ID12 the first 12
//	                    digits of it, $NAME_KEY its object, $NAME_QUERY its query
//	guest NAME FILE     GET /url with the token of the link in the file, as a guest; prints the answer's reason,
//	                    and without one sets what mint does
//	upload URL BODY     PUT the body
//	lose N CALL URL     the next N answers to such requests of S3 for this URL get lost
//	exits N PROGRAM …   runs the program, which must end with this exit status
//	readkey NAME FILE   $NAME is the text of the file
//	keyid NAME FILE     $NAME is the id of the API key in the file, $NAME12 and $NAME32 the first digits of it
//	store KEY BODY      puts an object into the bucket, as somebody with credentials may; BODY may have escapes as in Go
//	proxy NAME lose     $NAME is the URL of something before the deployment that loses the answer to the first upload
//	proxy NAME cut      or that breaks every upload off after 1000 bytes
//	proxy NAME stumble  or that breaks the first two off
//	proxy NAME hold     or that passes the first upload, then makes the file held and holds the second
//	proxy NAME whole    or that refuses parts, as a deployment does whose setting multipart is off
//	hostile NAME        $NAME is the URL of a deployment that puts commands for terminals into its answers
//	waitfor FILE        waits until there is this file
//	source FILE         sets what a file of "export NAME='value'" says
//
// upload prints the status and the reason of the answer. $ASSEMBLY and $ROOT are what
// oncegate dev wants: templates that were synthesized, and the repository.
func TestScripts(t *testing.T) {
	scripts(t, "testdata/script")
}

// TestScriptsWithKeys runs testdata/script-keys, on a deployment that asks for API keys.
func TestScriptsWithKeys(t *testing.T) {
	scripts(t, "testdata/script-keys", func(s *testbed.Setup) { s.Settings["auth"] = config.AuthAPIKey })
}

// TestScriptsInTable runs the scripts of testdata/script on a deployment whose index is in a
// table.
func TestScriptsInTable(t *testing.T) {
	scripts(t, "testdata/script", testbed.InTable)
}

// TestScriptsSpoilt runs testdata/script-spoilt, on a bucket of its own.
func TestScriptsSpoilt(t *testing.T) {
	scripts(t, "testdata/script-spoilt")
}

func scripts(t *testing.T, dir string, options ...testbed.Option) {
	st := testbed.New(t, append(options, func(s *testbed.Setup) {
		s.Settings["sha256"] = true
		s.Settings["prefixes"] = []string{"teams/*"}
		s.Settings["tags"] = []string{"project", "cost center"}
		s.Settings["timeout"] = 30 // for all scripts begin at once
	})...)
	assembly := testbed.Assembly(t, map[string]any{"bucket": "bucket-of-the-test"}, nil)
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root": // who may read every file
				return os.Geteuid() == 0, nil
			case "bucket": // the index is there
				return st.Table == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("ASSEMBLY", assembly)
			env.Setenv("ROOT", root)
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
			env.Setenv("ONCEGATE_URL", st.Edge.URL())
			env.Setenv("AWS_ENDPOINT_URL_S3", st.S3.URL())
			index := config.IndexS3
			if st.Table != nil {
				index = config.IndexDynamoDB
				env.Setenv("AWS_ENDPOINT_URL_DYNAMODB", st.Table.URL())
				env.Setenv("ONCEGATE_INDEX", index)
			}
			env.Setenv("AWS_ACCESS_KEY_ID", s3servertest.AccessKey)
			env.Setenv("AWS_SECRET_ACCESS_KEY", s3servertest.SecretKey)
			env.Setenv("AWS_REGION", s3servertest.Region)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true") // this machine may be an instance
			return os.WriteFile(env.WorkDir+"/config.json", []byte(`{"bucket":"`+s3servertest.Bucket+`","region":"`+s3servertest.Region+`","index":"`+index+`","sha256":true}`), 0o600)
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
				setMinted(t, ts, args[0], a.Body)
			},
			"guest": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: guest NAME FILE")
				}
				_, token, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(args[1])), "#")
				a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url?name=invoice.pdf&label=page+2", http.Header{"Authorization": {"Bearer " + token}}, nil)
				if a.Status == http.StatusOK {
					setMinted(t, ts, args[0], a.Body)
				}
				_, err := ts.Stdout().Write([]byte(a.Reason() + "\n"))
				ts.Check(err)
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
				m := testbed.ParseMinted(t, args[2])
				left := int(args[0][0] - '0')
				var mu sync.Mutex
				st.FaultOn(string(m.ID), func(r *http.Request) s3server.Fault {
					mu.Lock()
					defer mu.Unlock()
					if left == 0 || s3server.Call(r) != args[1] {
						return s3server.Fault{}
					}
					left--
					return s3server.Fault{Kind: s3server.Drop, Apply: true}
				})
			},
			"proxy": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: proxy NAME lose|cut|hold|stumble|whole")
				}
				p := httptest.NewServer(unreliable(st.Edge.URL(), args[1], ts.MkAbs("held")))
				ts.Defer(p.Close)
				ts.Setenv(args[0], p.URL)
			},
			"hostile": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: hostile NAME")
				}
				s := httptest.NewServer(http.HandlerFunc(hostile))
				ts.Defer(s.Close)
				ts.Setenv(args[0], s.URL)
			},
			"waitfor": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: waitfor FILE")
				}
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
						return
					}
				}
				ts.Fatalf("there is still no %s", args[0])
			},
			"source": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: source FILE")
				}
				for name, value := range readEnv(t, ts.MkAbs(args[0])) {
					ts.Setenv(name, value)
				}
			},
			"readkey": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: readkey NAME FILE")
				}
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
			"keyid": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: keyid NAME FILE")
				}
				id, err := apikey.Parse(strings.TrimSpace(ts.ReadFile(args[1])))
				ts.Check(err)
				ts.Setenv(args[0], string(id))
				ts.Setenv(args[0]+"12", id.Short())
				ts.Setenv(args[0]+"32", string(id[:onetime.CredentialDigits]))
			},
			"store": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: store KEY BODY")
				}
				body, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
				ts.Check(err)
				object := &s3.PutObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &args[0], Body: strings.NewReader(body)}
				if strings.HasPrefix(args[0], "invitations/") {
					object.IfNoneMatch = aws.String("*") // or the bucket policy denies it
				}
				_, err = s3servertest.Client(st.S3).PutObject(t.Context(), object)
				ts.Check(err)
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

// setMinted sets what scripts know of a URL that was minted.
func setMinted(t *testing.T, ts *testscript.TestScript, name, body string) {
	m := testbed.ParseMinted(t, strings.TrimSpace(body))
	ts.Setenv(name, m.URL)
	ts.Setenv(name+"_ID", string(m.ID))
	for _, digits := range []int{7, 8, 12} {
		ts.Setenv(name+"_ID"+strconv.Itoa(digits), string(m.ID)[:digits])
	}
	ts.Setenv(name+"_KEY", m.Key)
	_, query, _ := strings.Cut(m.URL, "?")
	ts.Setenv(name+"_QUERY", query)
}

// hostile is a deployment whose answers a terminal should not see. The URLs are as they
// should be.
func hostile(w http.ResponseWriter, r *http.Request) {
	const evil = "\u009b2J\u202e\x9b"
	path := "/uploads/7f1e2d3c-4b5a-4678-9abc-def012345678"
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + onetime.MintedAccessKey + "%2F20260301%2Feu-west-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20260301T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=" + strings.Repeat("5e", 32)
	switch {
	case r.Method == http.MethodPut:
		w.Header().Set("x-oncegate-reason", "used")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"message":"gone`+evil+`\noncegate: stored"}`)
	case r.URL.Query().Has("label"):
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"reason":"options`+evil+`","message":"`+evil+`\u001b[31m\noncegate: all is well"}`)
	default:
		fmt.Fprintf(w, `{"url":"http://%s%s?%s","id":"%s","expiresAt":"2026-03-01T12:01:00Z","note":"%s"}`, r.Host, path, query, onetime.Fingerprint(path, query), evil)
	}
}

// unreliable passes requests on to a deployment, but for what it does to uploads.
func unreliable(to, how, held string) http.Handler {
	target, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	var uploads atomic.Int32
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // URLs are minted for it
			if r.In.Method == http.MethodPut && (how == "cut" || how == "stumble" && uploads.Add(1) <= 2) {
				r.Out.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.In.Body, 1000), iotest.ErrReader(errors.New("cut"))))
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if how == "lose" && r.Request.Method == http.MethodPut && uploads.Add(1) == 1 {
				return errors.New("lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if how == "whole" && r.Method == http.MethodPost {
			w.Header().Set("x-oncegate-reason", string(onetime.Method))
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"message":"Forbidden: this method is not allowed here."}`)
			return
		}
		if how == "hold" && r.Method == http.MethodPut && uploads.Add(1) == 2 {
			os.WriteFile(held, nil, 0o600)
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done() // the client is gone
			return
		}
		pass.ServeHTTP(w, r)
	})
}
