package main

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oncegate/internal/local/s3server/s3servertest"
)

// home is a HOME with files of the AWS CLI.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) home {
	t.Helper()
	clearAWS(t)
	return home{t, os.Getenv("HOME")}
}

// write writes a file below HOME and returns its path.
func (h home) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// sso writes the token of an SSO session, as aws sso login does. Its file has the SHA-1 of the
// session's name.
func (h home) sso(session string, end time.Time) {
	h.t.Helper()
	sum := sha1.Sum([]byte(session))
	h.write(".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json",
		fmt.Sprintf(`{"accessToken":"sso-token","expiresAt":%q}`, end.UTC().Format(time.RFC3339)))
}

// standIn answers as a service of AWS, and sets the variable that names where it is.
func standIn(t *testing.T, variable string, answer func(w http.ResponseWriter, r *http.Request)) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(s.Close)
	t.Setenv(variable, s.URL)
}

const (
	staticProfile = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = of-default\n"
	ssoProfile    = "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = admin\nregion = eu-west-3\n" +
		"[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n"
	oldSSOProfile = "[profile work]\nsso_start_url = https://corp.example/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = admin\n"
	roleProfile   = "[profile deployer]\nrole_arn = arn:aws:iam::123456789012:role/deployer\nsource_profile = base\nregion = eu-west-3\n" +
		"[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = of-base\n"
)

// ssoAnswer is what GetRoleCredentials answers.
func ssoAnswer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("x-amz-sso_bearer_token") != "sso-token" || r.URL.Query().Get("role_name") != "admin" || r.URL.Query().Get("account_id") != "123456789012" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"of-sso","sessionToken":"t","expiration":%d}}`, time.Now().Add(time.Hour).UnixMilli())
}

// refuse answers as services with JSON refuse.
func refuse(status int, code string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-amzn-errortype", code)
		w.WriteHeader(status)
		io.WriteString(w, `{"message":"no"}`)
	}
}

// refuseXML answers as STS and S3 refuse.
func refuseXML(status int, code string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if status == http.StatusForbidden {
			fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
		} else {
			fmt.Fprintf(w, `<Error><Code>%s</Code><Message>no</Message></Error>`, code)
		}
	}
}

// TestCredentials: every place where the AWS CLI finds credentials.
func TestCredentials(t *testing.T) {
	hour := func() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }
	for name, c := range map[string]struct {
		prepare func(t *testing.T, h home)
		want    string
	}{
		"environment": {func(t *testing.T, h home) {
			h.write(".aws/config", "not even [ a file of the AWS CLI")
			t.Setenv("AWS_PROFILE", "absent")
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "of-env")
			t.Setenv("AWS_SESSION_TOKEN", "t")
		}, "AKIDENV of-env t"},
		"default profile": {func(t *testing.T, h home) {
			h.write(".aws/credentials", staticProfile)
		}, "AKIDDEFAULT of-default "},
		"AWS_PROFILE": {func(t *testing.T, h home) {
			h.write(".aws/credentials", staticProfile)
			h.write(".aws/config", roleProfile)
			t.Setenv("AWS_PROFILE", "base")
		}, "AKIDBASE of-base "},
		"AWS_CONFIG_FILE": {func(t *testing.T, h home) {
			t.Setenv("AWS_CONFIG_FILE", h.write("elsewhere", staticProfile))
		}, "AKIDDEFAULT of-default "},
		"credential_process": {func(t *testing.T, h home) {
			program := h.write("program", "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"ASIAPROC\",\"SecretAccessKey\":\"of-proc\",\"SessionToken\":\"t\",\"Expiration\":\""+hour()+"\"}'\n")
			h.write(".aws/config", "[default]\ncredential_process = "+program+"\n")
		}, "ASIAPROC of-proc t"},
		"SSO session": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			h.sso("corp", time.Now().Add(time.Hour))
			standIn(t, "AWS_ENDPOINT_URL_SSO", ssoAnswer)
			t.Setenv("AWS_PROFILE", "work")
		}, "ASIASSO of-sso t"},
		"SSO without a session": {func(t *testing.T, h home) {
			h.write(".aws/config", oldSSOProfile)
			h.sso("https://corp.example/start", time.Now().Add(time.Hour))
			standIn(t, "AWS_ENDPOINT_URL_SSO", ssoAnswer)
			t.Setenv("AWS_PROFILE", "work")
		}, "ASIASSO of-sso t"},
		"assumed role": {func(t *testing.T, h home) {
			h.write(".aws/config", roleProfile)
			standIn(t, "AWS_ENDPOINT_URL_STS", func(w http.ResponseWriter, r *http.Request) {
				// The Region is that of the settings, and not the profile's.
				if scope := r.Header.Get("Authorization"); !strings.Contains(scope, "Credential=AKIDBASE/") || !strings.Contains(scope, "/ap-south-1/sts/") {
					t.Errorf("signed by %s", scope)
				}
				fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>of-role</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, hour())
			})
			t.Setenv("AWS_PROFILE", "deployer")
		}, "ASIAROLE of-role t"},
		"container": {func(t *testing.T, h home) {
			standIn(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "of-the-container" {
					fmt.Fprintf(w, `{"AccessKeyId":"ASIACONT","SecretAccessKey":"of-cont","Token":"t","Expiration":%q}`, hour())
				}
			})
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-container")
		}, "ASIACONT of-cont t"},
		"instance": {func(t *testing.T, h home) {
			t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			standIn(t, "AWS_EC2_METADATA_SERVICE_ENDPOINT", func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/latest/api/token":
					w.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", "60")
					io.WriteString(w, "a-token")
				case "/latest/meta-data/iam/security-credentials/":
					io.WriteString(w, "its-role")
				case "/latest/meta-data/iam/security-credentials/its-role":
					fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIAINST","SecretAccessKey":"of-inst","Token":"t","Expiration":%q}`, hour())
				}
			})
		}, "ASIAINST of-inst t"},
	} {
		t.Run(name, func(t *testing.T) {
			c.prepare(t, newHome(t))
			provider, err := findCredentials(t.Context(), "ap-south-1")
			if err != nil {
				t.Fatal(err)
			}
			got, err := provider.Retrieve(t.Context())
			if text := got.AccessKeyID + " " + got.SecretAccessKey + " " + got.SessionToken; err != nil || text != c.want {
				t.Errorf("%q, %v, want %q", text, err, c.want)
			}
		})
	}
}

// TestNoCredentials: what is missing or over is said in a sentence, and the hint is the command
// that mends it.
func TestNoCredentials(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		prepare    func(t *testing.T, h home)
		want, hint string
	}{
		"none": {func(t *testing.T, h home) {}, "no credentials: neither AWS_ACCESS_KEY_ID", "aws configure sso or aws configure makes a profile, export AWS_PROFILE=NAME"},
		"half": {func(t *testing.T, h home) {
			h.write(".aws/credentials", staticProfile)
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
		}, "only one of AWS_ACCESS_KEY_ID and", "set both, or unset both to use a profile"},
		"environment, expired": {func(t *testing.T, h home) {
			t.Setenv("AWS_ACCESS_KEY_ID", "ASIAENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "of-env")
			t.Setenv("AWS_SESSION_TOKEN", "t")
			t.Setenv("AWS_PROFILE", "work")
			t.Setenv("AWS_CREDENTIAL_EXPIRATION", past.UTC().Format(time.RFC3339))
		}, "the credentials in the environment expired at 20", `eval "$(aws configure export-credentials --profile work --format env)", or unset AWS_ACCESS_KEY_ID`},
		"no such profile": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			t.Setenv("AWS_PROFILE", "wrok")
		}, "there is no profile wrok in /", "export AWS_PROFILE=NAME with one of aws configure list-profiles"},
		"SSO, never logged in": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			t.Setenv("AWS_PROFILE", "work")
		}, "the session of the profile work is over, or was never begun", "aws sso login --profile work"},
		"SSO, expired": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			h.sso("corp", past)
			t.Setenv("AWS_PROFILE", "work")
		}, "the session of the profile work is over", "aws sso login --profile work"},
		"SSO without a session, expired": {func(t *testing.T, h home) {
			h.write(".aws/config", oldSSOProfile)
			h.sso("https://corp.example/start", past)
			t.Setenv("AWS_PROFILE", "work")
		}, "the session of the profile work is over", "aws sso login --profile work"},
		"SSO, ended elsewhere": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			h.sso("corp", time.Now().Add(time.Hour))
			standIn(t, "AWS_ENDPOINT_URL_SSO", refuse(http.StatusUnauthorized, "UnauthorizedException"))
			t.Setenv("AWS_PROFILE", "work")
		}, "the session of the profile work is over", "aws sso login --profile work"},
		"SSO, without the role": {func(t *testing.T, h home) {
			h.write(".aws/config", ssoProfile)
			h.sso("corp", time.Now().Add(time.Hour))
			standIn(t, "AWS_ENDPOINT_URL_SSO", refuse(http.StatusForbidden, "ForbiddenException"))
			t.Setenv("AWS_PROFILE", "work")
		}, "the credentials of the profile work cannot be had: ForbiddenException: no", ""},
		"SSO, default profile": {func(t *testing.T, h home) {
			h.write(".aws/config", strings.Replace(ssoProfile, "profile work", "default", 1))
		}, "the session of the profile default is over", "aws sso login"},
		"role by SSO": {func(t *testing.T, h home) {
			h.write(".aws/config", "[profile deployer]\nrole_arn = arn:aws:iam::123456789012:role/deployer\nsource_profile = work\n"+ssoProfile)
			t.Setenv("AWS_PROFILE", "deployer")
		}, "the session of the profile deployer (role arn:aws:iam::123456789012:role/deployer, by the profile work) is over", "aws sso login --profile work"},
		"aws login": {func(t *testing.T, h home) {
			h.write(".aws/config", "[profile me]\nlogin_session = arn:aws:iam::123456789012:user/me\n")
			t.Setenv("AWS_PROFILE", "me")
		}, "the session of the profile me is over, or was never begun", "aws login --profile me"},
		"role denied": {func(t *testing.T, h home) {
			h.write(".aws/config", roleProfile)
			standIn(t, "AWS_ENDPOINT_URL_STS", refuseXML(http.StatusForbidden, "AccessDenied"))
			t.Setenv("AWS_PROFILE", "deployer")
		}, "the credentials of the profile deployer (role arn:aws:iam::123456789012:role/deployer, by the profile base) cannot be had: AccessDenied: no", ""},
		"role by expired keys": {func(t *testing.T, h home) {
			h.write(".aws/config", roleProfile)
			standIn(t, "AWS_ENDPOINT_URL_STS", refuseXML(http.StatusForbidden, "ExpiredToken"))
			t.Setenv("AWS_PROFILE", "deployer")
		}, "is over, or was never begun", "aws configure --profile base"},
		"role with MFA": {func(t *testing.T, h home) {
			h.write(".aws/config", strings.Replace(roleProfile, "source_profile", "mfa_serial = arn:aws:iam::123456789012:mfa/me\nsource_profile", 1))
			t.Setenv("AWS_PROFILE", "deployer")
		}, "the profile deployer asks for an MFA code", `eval "$(aws configure export-credentials --profile deployer --format env)"`},
		"process fails": {func(t *testing.T, h home) {
			h.write(".aws/config", "[default]\ncredential_process = "+h.write("program", "#!/bin/sh\nexit 7\n")+"\n")
		}, "the credential_process of the profile default failed: exit status 7", "run it: "},
		"process prints something else": {func(t *testing.T, h home) {
			h.write(".aws/config", "[default]\ncredential_process = "+h.write("program", "#!/bin/sh\necho 'SecretAccessKey: of-proc'\n")+"\n")
		}, "the credential_process of the profile default failed: what it prints are no credentials", "run it: "},
		"process prints what is over": {func(t *testing.T, h home) {
			program := h.write("program", "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"ASIAPROC\",\"SecretAccessKey\":\"of-proc\",\"Expiration\":\"2001-02-03T04:05:06Z\"}'\n")
			h.write(".aws/config", "[default]\ncredential_process = "+program+"\n")
		}, "the credentials of the profile default expired at 2001-02-03T04:05:06Z", "the credential_process of the profile default makes them: "},
		"container that refuses": {func(t *testing.T, h home) {
			standIn(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"code":"NoRole","message":"none here"}`)
			})
		}, "the credentials of the container cannot be had: NoRole: none here", ""},
		"container that is something else": {func(t *testing.T, h home) {
			standIn(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<html>\nof-proc")
			})
		}, "the credentials of the container cannot be had: the request was refused without a code", ""},
		"token file that is gone": {func(t *testing.T, h home) {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(h.dir, "gone"))
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci")
		}, "the credentials of the token in AWS_WEB_IDENTITY_TOKEN_FILE cannot be had: ", ""},
		"role by a profile that is not there": {func(t *testing.T, h home) {
			h.write(".aws/config", "[default]\nsource_profile = gone\nrole_arn = x\n")
		}, "there is no profile gone in /", "export AWS_PROFILE=NAME with one of aws configure list-profiles, or aws configure --profile gone"},
	} {
		t.Run(name, func(t *testing.T) {
			c.prepare(t, newHome(t))
			_, err := findCredentials(t.Context(), "ap-south-1")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want %q", err, c.want)
			}
			hint := ""
			if h, ok := errors.AsType[*hintError](err); ok {
				hint = h.hint
			}
			if !strings.HasPrefix(hint, c.hint) && !strings.Contains(hint, "; "+c.hint) && !strings.Contains(hint, ", "+c.hint) || c.hint == "aws sso login" && hint != c.hint {
				t.Errorf("hint %q, want %q", hint, c.hint)
			}
			for _, secret := range []string{"of-proc", "of-base", "of-env", "sso-token"} {
				if strings.Contains(err.Error()+hint, secret) {
					t.Errorf("%v (%s) tells a secret", err, hint)
				}
			}
		})
	}
}

// TestNoInstance: on a machine whose network swallows the question for an instance role, the
// answer is there soon.
func TestNoInstance(t *testing.T) {
	newHome(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
	began := time.Now()
	_, err = findCredentials(t.Context(), "eu-west-1")
	if err == nil || !strings.HasPrefix(err.Error(), "no credentials: ") {
		t.Error(err)
	}
	if took := time.Since(began); took > 2*instanceLimit {
		t.Errorf("it took %v, the limit is %v", took, instanceLimit)
	}
}

// TestProfileAtS3: a verb uses a profile from the first request on.
func TestProfileAtS3(t *testing.T) {
	h := newHome(t)
	server := s3servertest.New(t)
	t.Chdir(t.TempDir())
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL())
	t.Setenv("ONCEGATE_BUCKET", s3servertest.Bucket)
	t.Setenv("AWS_REGION", s3servertest.Region)
	t.Setenv("AWS_PROFILE", "mine")
	h.write(".aws/config", "[profile mine]\naws_access_key_id = "+s3servertest.AccessKey+"\naws_secret_access_key = "+s3servertest.SecretKey+"\nregion = af-south-1\n")
	if out, err := runVerb(t, "list", "--json"); err != nil || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	t.Setenv("AWS_PROFILE", "")
	if _, err := runVerb(t, "list", "--json"); err == nil || !strings.HasPrefix(err.Error(), "no credentials: ") {
		t.Error(err)
	}
}

// TestExpiredAtAWS: that credentials are over is often known to AWS alone. Every verb then says
// which command renews them.
func TestExpiredAtAWS(t *testing.T) {
	for from, hint := range map[string]string{
		"environment": `eval "$(aws configure export-credentials --profile default --format env)", or unset`,
		"profile":     "aws configure --profile mine",
	} {
		t.Run(from, func(t *testing.T) {
			h := newHome(t)
			if from == "environment" {
				t.Setenv("AWS_ACCESS_KEY_ID", "ASIAENV")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "of-env")
				t.Setenv("AWS_SESSION_TOKEN", "t")
			} else {
				h.write(".aws/config", "[profile mine]\naws_access_key_id = ASIAMINE\naws_secret_access_key = of-mine\naws_session_token = t\n")
				t.Setenv("AWS_PROFILE", "mine")
			}
			standIn(t, "AWS_ENDPOINT_URL_S3", refuseXML(http.StatusBadRequest, "ExpiredToken"))
			standIn(t, "AWS_ENDPOINT_URL_SQS", refuse(http.StatusBadRequest, "ExpiredToken"))
			prod := settingsFile(t, `{"bucket":"prod-bucket","region":"eu-west-1","acceptance":true}`)
			for verb, args := range operatorVerbs {
				if verb == "verify" || verb == "url --direct" { // these report what the deployment, or its mint, answers
					continue
				}
				if verb == "migrate" { // it asks the table first, or refuses without one
					continue
				}
				_, err := runVerb(t, append(args, "--config", prod)...)
				found, ok := errors.AsType[*hintError](err)
				if !ok || !strings.HasPrefix(found.hint, hint) || !strings.HasSuffix(err.Error(), ": the credentials have expired") {
					t.Errorf("%s: %v, hint %+v", verb, err, found)
				}
			}
		})
	}
}
