package dynamoserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/cfn"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/layout"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/s3server"
	"oncegate/internal/onetime"
)

// TestRoles: every operation of the index by every role of the reviewed templates. A function
// may do what it needs, and nothing else that IAM can keep from it.
func TestRoles(t *testing.T) {
	const (
		hash  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		claim = "fedcba9876543210fedcba9876543210"
		life  = time.Hour
		limit = 10 * time.Second
	)
	now := time.Now().Truncate(time.Second)
	entry := onetime.ValidEntry{Version: 1, Created: now, Expires: now.Add(life), Key: layout.Uploads + "11111111-1111-4111-8111-111111111111"}
	spent := onetime.ExpiredEntry{Version: 1, Reason: onetime.Used, At: now, Nonce: claim}
	type index = *dynamo.Index
	operations := []struct {
		name string
		who  string // all that may, of mint, owner (the mint with ownerApi and API keys), gate, accept, webhook
		do   func(ctx context.Context, x index) error
	}{
		{"WriteValid", "mint owner gate", func(ctx context.Context, x index) error {
			_, err := x.WriteValid(ctx, limit, hash, entry.Marshal())
			return err
		}},
		{"ReadValid", "owner gate", func(ctx context.Context, x index) error { _, _, err := x.ReadValid(ctx, limit, hash); return err }},
		{"HeadExpired", "mint owner gate", func(ctx context.Context, x index) error { _, err := x.HeadExpired(ctx, limit, hash); return err }},
		{"ReadExpired", "mint owner gate", func(ctx context.Context, x index) error { _, _, err := x.ReadExpired(ctx, limit, hash); return err }},
		{"ListExpired", "mint owner gate", func(ctx context.Context, x index) error { _, err := x.ListExpired(ctx, limit, hash); return err }},
		{"Spend", "gate", func(ctx context.Context, x index) error {
			_, err := x.Spend(ctx, limit, hash, spent, onetime.Terms{Now: now, Length: 1, Room: 1000})
			return err
		}},
		{"Claim", "mint owner gate", func(ctx context.Context, x index) error {
			_, err := x.Claim(ctx, limit, hash, onetime.Used, spent.Marshal())
			return err
		}},
		// IAM cannot tell this from a claim: THREAT-MODEL.md, What stays open.
		{"DeleteExpired", "mint owner gate", func(ctx context.Context, x index) error { return x.DeleteExpired(ctx, limit, hash, claim) }},
		{"WriteParts", "gate", func(ctx context.Context, x index) error { return x.WriteParts(ctx, limit, hash, []byte("parts")) }},
		{"ReadParts", "gate", func(ctx context.Context, x index) error { _, err := x.ReadParts(ctx, limit, hash); return err }},
		{"DeletePartsEntry", "gate", func(ctx context.Context, x index) error { return x.DeletePartsEntry(ctx, limit, hash, "parts") }},
		{"ListEntries", "", func(ctx context.Context, x index) error {
			_, err := x.ListEntries(ctx, limit, onetime.ValidEntries, "")
			return err
		}},
		{"WriteUpload", "mint", func(ctx context.Context, x index) error {
			return x.WriteUpload(ctx, limit, entry.Key, []byte("upload"))
		}},
		{"ReadUpload", "accept webhook", func(ctx context.Context, x index) error { _, err := x.ReadUpload(ctx, limit, entry.Key); return err }},
		{"ReadKey", "owner", func(ctx context.Context, x index) error { _, err := x.ReadKey(ctx, limit, hash); return err }},
		{"CreateKey", "", func(ctx context.Context, x index) error { return x.CreateKey(ctx, limit, hash, []byte("key")) }},
		{"ReplaceKey", "", func(ctx context.Context, x index) error { return x.ReplaceKey(ctx, limit, hash, []byte("key")) }},
		{"ListKeys", "", func(ctx context.Context, x index) error { _, err := x.ListKeys(ctx, limit); return err }},
		{"CreateInvitation", "mint owner", func(ctx context.Context, x index) error { return x.CreateInvitation(ctx, limit, hash, []byte("a")) }},
		{"ReadInvitation", "mint owner", func(ctx context.Context, x index) error { _, _, err := x.ReadInvitation(ctx, limit, hash); return err }},
		{"ReplaceInvitation", "mint owner", func(ctx context.Context, x index) error {
			return x.ReplaceInvitation(ctx, limit, hash, "a", []byte("a"))
		}},
		{"ListInvitations", "", func(ctx context.Context, x index) error { _, _, err := x.ListInvitations(ctx, limit, ""); return err }},
		{"CreateSlot", "mint owner", func(ctx context.Context, x index) error { return x.CreateSlot(ctx, limit, hash, 0, []byte("s")) }},
		{"ReadSlot", "mint owner", func(ctx context.Context, x index) error { _, _, err := x.ReadSlot(ctx, limit, hash, 0); return err }},
		{"ReplaceSlot", "mint owner", func(ctx context.Context, x index) error {
			return x.ReplaceSlot(ctx, limit, hash, 0, "s", []byte("s"))
		}},
		{"ListSlots", "mint owner", func(ctx context.Context, x index) error { _, err := x.ListSlots(ctx, limit, hash); return err }},
	}
	for _, template := range []struct {
		name  string
		roles map[string]string // of the role that is played: the function
	}{
		{"unversioned", map[string]string{"owner": "oncegate-mint", "gate": "oncegate-gate", "page": "oncegate-page"}},
		{"table", map[string]string{"mint": "oncegate-regional-mint", "gate": "oncegate-regional-gate", "accept": "oncegate-accept",
			"webhook": "oncegate-webhook", "stub": "oncegate-gate"}},
	} {
		d, err := cfn.Read("../../cfn/testdata/" + template.name)
		if err != nil {
			t.Fatal(err)
		}
		for who, function := range template.roles {
			f := d.Functions[function]
			if f == nil {
				f = d.Regional[function]
			}
			x := indexOf(t, d.Table, f.Role)
			for _, op := range operations {
				err := op.do(t.Context(), x)
				fault, _ := errors.AsType[*onetime.Fault](err)
				denied := fault != nil && strings.Contains(fault.Error(), "AccessDenied")
				if may := slices.Contains(strings.Fields(op.who), who); may == denied || may && fault != nil {
					t.Errorf("%s of %s: %s: %v, want allowed %v", who, template.name, op.name, err, may)
				}
			}
		}
	}
}

// indexOf plays the table of a template and returns the index in it, as the role has it.
func indexOf(t *testing.T, table *cfn.Table, role *cfn.Role) *dynamo.Index {
	t.Helper()
	document, err := json.Marshal(role.Policies[0].PolicyDocument)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := iam.ParseIdentity(role.ID, []byte(strings.ReplaceAll(string(document), "${AWS::AccountId}", dynamoservertest.Account)), s3server.ConditionKeys)
	if err != nil {
		t.Fatal(err)
	}
	keys := sigv4.Credentials{AccessKeyID: "ASIAROLE", SecretAccessKey: "made-up", SessionToken: "token"}
	server := dynamoservertest.New(t, func(o *dynamoserver.Options) {
		o.Table, o.Region = table.TableName, table.Region
		o.Callers = []api.Caller{{ARN: "arn:aws:iam::" + dynamoservertest.Account + ":role/" + role.ID, Credentials: keys, Policies: []iam.Policy{policy}}}
	})
	return dynamo.New(dynamosdk.New(table.TableName, table.Region, server.URL(), aws.CredentialsProvider(
		credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken))), 24*time.Hour)
}
