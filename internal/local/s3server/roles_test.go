package s3server_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// Every action by every principal. 200 stands for any success.
func TestRoles(t *testing.T) {
	mint, gate := mintRole(), gateRole()
	s := guarded(t, []s3server.Role{mint, gate})
	operator := s3servertest.Client(s)
	for _, k := range []string{"signatures/valid/there", "uploads/there"} {
		put(t, operator, k, "x")
	}
	once := aws.String("*")
	claim, err := operator.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("signatures/expired/there"), IfNoneMatch: once})
	if err != nil {
		t.Fatal(err)
	}
	valid, err := operator.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("signatures/valid/there")})
	if err != nil {
		t.Fatal(err)
	}
	putOp := func(key string, inm *string) func(*s3.Client, string) error {
		return func(c *s3.Client, who string) error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String(key + who), IfNoneMatch: inm, Body: strings.NewReader("x")})
			return err
		}
	}
	getOp := func(key string, version *string) func(*s3.Client, string) error {
		return func(c *s3.Client, _ string) error {
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket(), Key: &key, VersionId: version})
			if err == nil {
				out.Body.Close()
			}
			return err
		}
	}
	headOp := func(key string) func(*s3.Client, string) error {
		return func(c *s3.Client, _ string) error {
			_, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: &key})
			return err
		}
	}
	deleteOp := func(key string, version *string) func(*s3.Client, string) error {
		return func(c *s3.Client, _ string) error {
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: &key, VersionId: version})
			return err
		}
	}
	copyOp := func(from, to string) func(*s3.Client, string) error {
		return func(c *s3.Client, who string) error {
			_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket(), Key: aws.String(to + who), CopySource: aws.String(s3servertest.Bucket + "/" + from)})
			return err
		}
	}
	multipartOp := func(key string) func(*s3.Client, string) error {
		return func(c *s3.Client, who string) error {
			_, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: aws.String(key + who)})
			return err
		}
	}
	tests := []struct {
		name                 string
		do                   func(c *s3.Client, who string) error
		mint, gate, operator int
	}{
		{"put valid", putOp("signatures/valid/", nil), 200, 403, 200},
		{"claim", putOp("signatures/expired/", once), 403, 200, 200},
		{"claim again", putOp("signatures/expired/", once), 403, 412, 412},
		{"put expired without condition", putOp("signatures/expired/free-", nil), 403, 403, 403},
		{"put upload", putOp("uploads/", nil), 403, 200, 200},
		{"put elsewhere", putOp("elsewhere/", nil), 403, 403, 200},
		{"put beside", putOp("signatures/valid", nil), 403, 403, 200},
		{"get valid", getOp("signatures/valid/there", nil), 403, 200, 200},
		{"get expired", getOp("signatures/expired/there", nil), 403, 200, 200},
		{"get upload", getOp("uploads/there", nil), 403, 403, 200},
		{"get a version", getOp("signatures/valid/there", valid.VersionId), 403, 403, 200},
		{"get absent", getOp("signatures/valid/absent", nil), 403, 404, 404},
		{"get absent upload", getOp("uploads/absent", nil), 403, 403, 404},
		{"head valid", headOp("signatures/valid/there"), 403, 200, 200},
		{"head absent", headOp("signatures/expired/absent"), 403, 404, 404},
		{"head upload", headOp("uploads/there"), 403, 403, 200},
		{"copy", copyOp("signatures/valid/there", "uploads/copy-"), 403, 200, 200},
		{"copy of what cannot be read", copyOp("uploads/there", "uploads/copy-"), 403, 403, 200},
		{"copy of a version", copyOp("signatures/valid/there?versionId="+*valid.VersionId, "uploads/copy-"), 403, 403, 200},
		{"copy into the index", copyOp("signatures/valid/there", "signatures/expired/copy-"), 403, 403, 403},
		{"multipart", multipartOp("uploads/multi-"), 403, 200, 200},
		{"multipart into the index", multipartOp("signatures/expired/multi-"), 403, 403, 403},
		{"delete expired", deleteOp("signatures/expired/there", nil), 403, 403, 403},
		{"delete upload", deleteOp("uploads/there", nil), 403, 403, 200},
		{"delete a version of expired", deleteOp("signatures/expired/there", claim.VersionId), 403, 403, 200},
		{"list", func(c *s3.Client, _ string) error {
			_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket()})
			return err
		}, 403, 200, 200},
		{"head bucket", func(c *s3.Client, _ string) error {
			_, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket()})
			return err
		}, 403, 200, 200},
		{"list versions", func(c *s3.Client, _ string) error {
			_, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket()})
			return err
		}, 403, 403, 200},
		{"list buckets", func(c *s3.Client, _ string) error {
			_, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
			return err
		}, 403, 403, 200},
		{"tag", func(c *s3.Client, _ string) error {
			_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket(), Key: aws.String("signatures/valid/there"),
				Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
			return err
		}, 403, 403, 200},
		{"put and tag", func(c *s3.Client, _ string) error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("uploads/tagged"), Tagging: aws.String("a=b")})
			return err
		}, 403, 403, 200},
		{"object acl", func(c *s3.Client, _ string) error {
			_, err := c.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: bucket(), Key: aws.String("signatures/valid/there")})
			return err
		}, 403, 403, 501}, // the server has none
		{"set versioning", func(c *s3.Client, _ string) error {
			_, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: bucket(),
				VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			return err
		}, 403, 403, 200},
		{"read the bucket policy", func(c *s3.Client, _ string) error {
			_, err := c.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: bucket()})
			return err
		}, 403, 403, 404}, // it is not the server's own
		{"open the bucket", func(c *s3.Client, _ string) error {
			_, err := c.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: bucket(), Policy: aws.String(string(
				policy(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["@","@/*"]}`)))})
			if err != nil {
				return err
			}
			_, err = c.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: bucket()})
			return err
		}, 403, 403, 200},
		{"delete the bucket", func(c *s3.Client, _ string) error {
			_, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket()})
			return err
		}, 403, 403, 409},
		{"make a bucket", func(c *s3.Client, _ string) error {
			_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("another-bucket")})
			return err
		}, 403, 403, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []struct {
				name string
				c    *s3.Client
				want int
			}{
				{"mint", s3servertest.ClientAs(s, mint), tt.mint},
				{"gate", s3servertest.ClientAs(s, gate), tt.gate},
				{"operator", operator, tt.operator},
			} {
				err := tt.do(p.c, p.name)
				got := status(err)
				if err == nil {
					got = 200
				}
				if got != p.want {
					t.Errorf("%s: %d %v, want %d", p.name, got, err, p.want)
				}
				if c := code(err); got == 403 && c != "AccessDenied" && c != "Forbidden" { // HEAD has no body to say so
					t.Errorf("%s: 403 %s", p.name, c)
				}
			}
		})
	}
}

// TestInvitationPolicy: what the bound of an invitation rests on is enforced for everybody, and the mint's role suffices
// for what it does.
func TestInvitationPolicy(t *testing.T) {
	const (
		conditional = `{"Sid":"InvitationsAreConditional","Action":"s3:PutObject","Condition":{"Null":{"s3:if-match":"true","s3:if-none-match":"true"}},` +
			`"Effect":"Deny","Principal":{"AWS":"*"},"Resource":"@/invitations/*"}`
		kept  = `{"Sid":"InvitationsAreNotDeleted","Action":"s3:DeleteObject","Effect":"Deny","Principal":{"AWS":"*"},"Resource":"@/invitations/*"}`
		slot  = "invitations/slots/id/000"
		wrong = `"00000000000000000000000000000000"`
	)
	mint := s3server.NewRole("arn:aws:iam::111122223333:role/mint",
		policy(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"@/invitations/*"}`, listBucket))
	blind := s3server.NewRole("arn:aws:iam::111122223333:role/blind", policy(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"@/invitations/*"}`, listBucket))
	gate := gateRole()
	s := guarded(t, []s3server.Role{mint, blind, gate}, conditional, kept)
	clients := map[string]*s3.Client{
		"operator": s3servertest.Client(s), "mint": s3servertest.ClientAs(s, mint), "blind": s3servertest.ClientAs(s, blind), "gate": s3servertest.ClientAs(s, gate),
	}
	write := func(by string, absent, etag *string) error {
		_, err := clients[by].PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket(), Key: aws.String(slot), IfNoneMatch: absent, IfMatch: etag, Body: strings.NewReader(by),
		})
		return err
	}
	if err := write("mint", aws.String("*"), nil); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"operator", "mint", "gate"} {
		if err := write(by, nil, nil); status(err) != 403 {
			t.Errorf("%s writes without a condition: %v, want 403", by, err)
		}
		if _, err := clients[by].DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String(slot)}); status(err) != 403 {
			t.Errorf("%s deletes: %v, want 403", by, err)
		}
	}
	if err := write("gate", nil, aws.String(wrong)); status(err) != 403 {
		t.Errorf("the gate writes: %v, want 403", err)
	}
	for _, by := range []string{"mint", "operator"} {
		if err := write(by, aws.String("*"), nil); status(err) != 412 {
			t.Errorf("%s writes over it: %v, want 412", by, err)
		}
		if err := write(by, nil, aws.String(wrong)); status(err) != 412 {
			t.Errorf("%s replaces what it has not seen: %v, want 412", by, err)
		}
		head, err := clients[by].HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String(slot)})
		if err != nil {
			t.Fatal(err)
		}
		if err := write("blind", nil, head.ETag); status(err) != 403 {
			t.Errorf("who may not read replaces: %v, want 403", err)
		}
		if err := write(by, nil, head.ETag); err != nil {
			t.Errorf("%s replaces what it has seen: %v", by, err)
		}
	}
	if got := get(t, clients["operator"], slot); got != "operator" {
		t.Errorf("the slot holds %q", got)
	}
}
