package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/acceptance"
	"oncegate/internal/awssdk"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/s3server"
)

func policy(t *testing.T, statements string) iam.Policy {
	t.Helper()
	p, err := iam.ParseIdentity("role", []byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`), s3server.ConditionKeys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const mayAnnounce = `{"Effect":"Allow","Action":"events:PutEvents","Resource":"arn:aws:events:eu-west-1:111122223333:event-bus/default",
	"Condition":{"StringEquals":{"events:source":"oncegate","events:detail-type":"oncegate.accepted"}}}`

// TestBus: what the real client announces is on the bus, if the role's policy and the
// signature allow it.
func TestBus(t *testing.T) {
	for name, tt := range map[string]struct {
		policy, secret, want string
		status               int
	}{
		"allowed":           {policy: mayAnnounce, secret: "made-up"},
		"not allowed":       {policy: strings.Replace(mayAnnounce, "PutEvents", "PutRule", 1), secret: "made-up", want: "AccessDenied"},
		"of another source": {policy: strings.Replace(mayAnnounce, `"oncegate"`, `"other"`, 1), secret: "made-up", want: "AccessDenied"},
		"not right signed":  {policy: mayAnnounce, secret: "other", want: "InvalidSignature"},
		"with a fault":      {policy: mayAnnounce, secret: "made-up", want: "injected", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			var lines, log bytes.Buffer
			var ruled []byte
			s := &api.Services{
				Region: "eu-west-1", Account: "111122223333", Log: slog.New(slog.NewTextHandler(&log, nil)), Lines: &lines,
				Callers: []api.Caller{{
					ARN: "arn:aws:iam::111122223333:role/accept", Policies: []iam.Policy{policy(t, tt.policy)},
					Credentials: sigv4.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "made-up", SessionToken: "token"},
				}},
				Rule: func(event []byte) { ruled = event },
			}
			s.SetIntercept(func(string) api.Fault { return api.Fault{Status: tt.status} })
			server := httptest.NewServer(s)
			defer server.Close()
			bus := awssdk.NewBus(awssdk.Options{Region: "eu-west-1", Endpoint: server.URL, Credentials: credentials.NewStaticCredentialsProvider("ASIAX", tt.secret, "token")})
			err := bus.Announce(t.Context(), acceptance.Event{Bucket: "b", Accepted: "accepted/x", Version: "v", At: time.Unix(1e9, 0)})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || len(s.Events()) != 0 {
					t.Errorf("%v, %d events, want %s", err, len(s.Events()), tt.want)
				}
				return
			}
			if err != nil || len(s.Events()) != 1 {
				t.Fatalf("%v, %d events", err, len(s.Events()))
			}
			var e struct {
				DetailType string `json:"detail-type"`
				Source     string
				Time       time.Time
				Detail     acceptance.Event
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Source != "oncegate" || e.DetailType != "oncegate.accepted" || e.Detail.Version != "v" || e.Time.Unix() != 1e9 {
				t.Errorf("%s: %+v, %v", &lines, e, err)
			}
			if !bytes.Equal(bytes.TrimSpace(lines.Bytes()), ruled) {
				t.Errorf("the rule got %s", ruled)
			}
		})
	}
}
