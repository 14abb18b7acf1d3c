package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// wallClock is the real one.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// operator looks after the stack's bucket and index, as the account's administrator or with
// the credentials of a role.
func operator(st *testbed.Stack, as ...s3server.Role) *onetime.Operator {
	who := s3server.Role{Credentials: s3servertest.Operator}
	if len(as) > 0 {
		who = as[0]
	}
	index := st.RecordsAs(who.Credentials)
	return &onetime.Operator{Ledger: index, Parts: index, Clock: wallClock{}, Entropy: onetimetest.NewEntropy(rand.Uint64())}
}

func target(m testbed.Minted) onetime.Target { return onetime.Target{ID: m.ID} }

// isState reports whether err says that the URL is in this state.
func isState(err error, state onetime.State) bool {
	e, ok := errors.AsType[*onetime.StateError](err)
	return ok && e.State == state
}

// TestRevokeRacesUpload lets an upload and a revoke of one URL go at the same
// moment: the index decides, one of the two wins, and the state agrees with the bucket.
// The later of both is let go a little later still, by what the rounds before have
// shown, so that each wins about half of them.
func TestRevokeRacesUpload(t *testing.T) { testbed.EachIndex(t, revokeRacesUpload) }

func revokeRacesUpload(t *testing.T, index string) {
	const uploads = 2
	n := 500
	if index == config.IndexDynamoDB {
		n = 100
	}
	if text := os.Getenv("ONCEGATE_REVOKE_ROUNDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("ONCEGATE_REVOKE_ROUNDS=%q: want a positive number", text)
		}
	}
	st := testbed.New(t, testbed.In(index))
	op := operator(st)
	var head time.Duration // how much earlier the uploads begin; below 0 the revoke
	revoked, began := 0, time.Now()
	for round := range n {
		m := st.Mint(t)
		var answers [uploads]testbed.Answer
		var revokeErr error
		var now bool
		var start, done sync.WaitGroup
		start.Add(1)
		for i := range answers {
			done.Go(func() {
				start.Wait()
				time.Sleep(-head)
				answers[i] = st.Put(t, m, "body "+strconv.Itoa(i))
			})
		}
		done.Go(func() {
			start.Wait()
			time.Sleep(head)
			now, revokeErr = op.Revoke(t.Context(), target(m))
		})
		start.Done()
		done.Wait()

		winner := -1
		for i, a := range answers {
			switch {
			case a.Status == http.StatusOK && winner < 0:
				winner = i
			case a.Status == http.StatusOK:
				t.Errorf("round %d: two uploads passed", round)
			case a.Status != http.StatusForbidden || a.Reason() != "used" && a.Reason() != "revoked":
				t.Errorf("round %d: upload %v, want 403 used or revoked", round, a)
			}
		}
		status, err := op.Status(t.Context(), target(m))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case revokeErr == nil:
			revoked++
			head += time.Millisecond
			if !now || winner >= 0 || status.State != onetime.StateRevoked || status.Object != nil {
				t.Errorf("round %d: revoked %t, uploads %v, state %+v", round, now, answers, status)
			}
			st.WantVersions(t, m.Key, 0)
		case isState(revokeErr, onetime.StateUsed):
			head -= time.Millisecond
			if winner < 0 || status.State != onetime.StateUsed || status.Object == nil {
				t.Errorf("round %d: %v, uploads %v, state %+v", round, revokeErr, answers, status)
			} else if got, want := st.Stored(t, m.Key), "body "+strconv.Itoa(winner); got != want {
				t.Errorf("round %d: stored %q, but %q was acknowledged", round, got, want)
			}
			st.WantVersions(t, m.Key, 1)
		default:
			t.Errorf("round %d: revoke: %v", round, revokeErr)
		}
		st.WantClaims(t, m.ID, 1)
		if t.Failed() {
			t.FailNow()
		}
		tallies[index].races.Add(1)
	}
	t.Logf("%d rounds of %d uploads and a revoke over %d processes in %v: the revoke won %d, an upload %d",
		n, uploads, len(st.Edge.Workers()), time.Since(began).Round(time.Second), revoked, n-revoked)
	if n >= 100 && (revoked == 0 || revoked == n) {
		t.Error("one side won every round: that was no race")
	}
}

// TestStatesOfTheChain is every state as the chain makes it, told the same by
// Operator.Status, by the list, by the gate and by the bucket.
func TestStatesOfTheChain(t *testing.T) {
	st := testbed.New(t)
	op := operator(st)
	minted, used, broken, revoked := st.Mint(t), st.Mint(t), st.Mint(t), st.Mint(t)
	if a := st.Put(t, used, "a photo"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	st.FaultOn(broken.Name, func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 500} })
	if a := st.Put(t, broken, "a photo"); a.Status < 500 {
		t.Fatal(a)
	}
	st.FaultOn(broken.Name, nil)
	for i := range 2 {
		if now, err := op.Revoke(t.Context(), target(revoked)); err != nil || now != (i == 0) {
			t.Fatalf("revoke %d: %t, %v", i, now, err)
		}
	}
	never := testbed.Minted{ID: onetime.Fingerprint("/never", "minted")}
	if _, err := op.Revoke(t.Context(), target(never)); !isState(err, onetime.StateUnknown) {
		t.Errorf("revoke of what was never minted: %v", err)
	}
	st.WantClaims(t, never.ID, 0)

	listed := map[onetime.ID]onetime.State{}
	for status, err := range op.List(t.Context(), onetime.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed[status.ID] = status.State
	}
	for _, test := range []struct {
		m      testbed.Minted
		state  onetime.State
		stored bool
		reason string
	}{
		{minted, "minted", false, ""},
		{used, "used", true, "used"},
		{broken, "used", false, "used"},
		{revoked, "revoked", false, "revoked"},
	} {
		status, err := op.Status(t.Context(), target(test.m))
		if err != nil || status.State != test.state || (status.Object != nil) != test.stored || status.Key != test.m.Key {
			t.Errorf("%+v, %v, want %s, stored %t", status, err, test.state, test.stored)
		}
		if listed[test.m.ID] != test.state {
			t.Errorf("listed as %s, want %s", listed[test.m.ID], test.state)
		}
		if spent := status.Spent; test.reason != "" && (spent == nil || spent.Claim == "" || time.Since(spent.At).Abs() > time.Hour || test.reason == "used" && spent.Request == "") {
			t.Errorf("%s: spent %+v", test.state, spent)
		}
		want := http.StatusForbidden
		if test.reason == "" {
			want = http.StatusOK
		}
		if a := st.Put(t, test.m, "later"); a.Status != want || a.Reason() != test.reason {
			t.Errorf("%s: an upload answers %v", test.state, a)
		}
	}
	if len(listed) != 4 {
		t.Errorf("%d rows, want 4", len(listed))
	}
}

// onceMore checks that a URL takes exactly one more upload, however many try.
func onceMore(t *testing.T, st *testbed.Stack, m testbed.Minted, name string) {
	t.Helper()
	var passes []string
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			body := fmt.Sprint("second ", i)
			if a := st.Put(t, m, body); a.Status == http.StatusOK {
				mu.Lock()
				passes = append(passes, body)
				mu.Unlock()
			} else if a.Reason() != "used" {
				t.Errorf("%s: %v", name, a)
			}
		})
	}
	all.Wait()
	if len(passes) != 1 {
		t.Fatalf("%s: %d more uploads passed, want 1", name, len(passes))
	}
	if got := st.Stored(t, m.Key); got != passes[0] {
		t.Errorf("%s: stored %q, but %q was acknowledged", name, got, passes[0])
	}
	st.WantClaims(t, m.ID, 1)
}

func TestEnableLetsOneMoreThrough(t *testing.T) {
	st := testbed.New(t)
	op := operator(st)
	replace := onetime.EnableOptions{Replace: true}

	t.Run("after a revoke", func(t *testing.T) {
		m := st.Mint(t)
		if _, err := op.Revoke(t.Context(), target(m)); err != nil {
			t.Fatal(err)
		}
		if _, err := op.Enable(t.Context(), target(m), onetime.EnableOptions{}); err != nil {
			t.Fatal(err)
		}
		onceMore(t, st, m, "")
	})
	t.Run("after use, to replace", func(t *testing.T) {
		m := st.Mint(t)
		st.Put(t, m, "first")
		if _, err := op.Enable(t.Context(), target(m), onetime.EnableOptions{}); !isState(err, onetime.StateUsed) {
			t.Errorf("without replace: %v", err)
		}
		done, err := op.Enable(t.Context(), target(m), replace)
		if err != nil || !done.Replaced || len(done.Claims) != 1 || done.Spent != "" {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := op.Enable(t.Context(), target(m), replace); !isState(err, onetime.StateMinted) {
			t.Errorf("enable what is enabled: %v", err)
		}
		onceMore(t, st, m, "")
		if versions, markers := st.Versions(t, m.Key); versions != 2 || markers != 1 {
			t.Errorf("%d versions and %d markers of the object: the first upload must be kept", versions, markers)
		}
	})
	// Each of its requests gets lost, before S3 or behind it, once or for good; then
	// it is run again.
	for _, call := range []string{
		"GET signatures/valid/", "HEAD uploads/", "GET ?versions", "GET signatures/parts/", "DELETE uploads/", "DELETE signatures/expired/?versionId", "HEAD signatures/expired/",
	} {
		for _, apply := range []bool{false, true} {
			for _, times := range []int{1, 3} {
				name := fmt.Sprintf("%s, applied %t, %d times", call, apply, times)
				t.Run(name, func(t *testing.T) {
					m := st.Mint(t)
					if a := st.Put(t, m, "first"); a.Status != http.StatusOK {
						t.Fatal(a)
					}
					var mu sync.Mutex
					left := times
					fault := func(r *http.Request) s3server.Fault {
						mu.Lock()
						defer mu.Unlock()
						if s3server.Call(r) != call || left == 0 {
							return s3server.Fault{}
						}
						left--
						return s3server.Fault{Kind: s3server.Drop, Apply: apply}
					}
					st.FaultOn(string(m.ID), fault)
					st.FaultOn(m.Name, fault)
					options := replace
					_, err := op.Enable(t.Context(), target(m), options)
					mu.Lock()
					unmet := left
					mu.Unlock()
					if unmet != 0 {
						t.Fatalf("%d of %d faults were not met: %v", unmet, times, err)
					}
					if uncertain, ok := errors.AsType[*onetime.UncertainError](err); ok {
						options.Claim = uncertain.Claim
					} else if times == 1 && err != nil {
						t.Errorf("one lost answer: %v", err)
					}
					// Twice in any case: the second finds nothing left to do or finishes.
					if _, again := op.Enable(t.Context(), target(m), options); again != nil && (err != nil || !isState(again, onetime.StateMinted)) {
						t.Fatalf("first %v, again %v", err, again)
					}
					onceMore(t, st, m, name)
				})
			}
		}
	}
}

// actions are what the doc comments of onetime.Operator ask for.
var actions = map[string]struct {
	prepare    func(*testing.T, *testbed.Stack, *onetime.Operator) testbed.Minted
	do         func(context.Context, *onetime.Operator, testbed.Minted) error
	statements []string // action and resource below the bucket
}{
	"status of what is used": {
		mintUsed,
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Status(ctx, target(m))
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:GetObject /uploads/*"},
	},
	"status of what is minted": {
		func(t *testing.T, st *testbed.Stack, _ *onetime.Operator) testbed.Minted { return st.Mint(t) },
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Status(ctx, target(m))
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:GetObject /uploads/*", "s3:ListBucket "},
	},
	"revoke": {
		func(t *testing.T, st *testbed.Stack, _ *onetime.Operator) testbed.Minted { return st.Mint(t) },
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Revoke(ctx, target(m))
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:PutObject /signatures/expired/*", "s3:ListBucket "},
	},
	"enable": {
		func(t *testing.T, st *testbed.Stack, admin *onetime.Operator) testbed.Minted {
			m := st.Mint(t)
			if _, err := admin.Revoke(t.Context(), target(m)); err != nil {
				t.Fatal(err)
			}
			return m
		},
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Enable(ctx, target(m), onetime.EnableOptions{})
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:GetObject /uploads/*", "s3:ListBucket ", "s3:ListBucketVersions ", "s3:DeleteObjectVersion /signatures/expired/*"},
	},
	"enable to replace": {
		mintUsed,
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Enable(ctx, target(m), onetime.EnableOptions{Replace: true})
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:GetObject /uploads/*", "s3:ListBucket ", "s3:ListBucketVersions ", "s3:DeleteObjectVersion /signatures/expired/*", "s3:DeleteObject /uploads/*"},
	},
	"enable after a multipart upload": {
		func(t *testing.T, st *testbed.Stack, admin *onetime.Operator) testbed.Minted {
			m := st.Mint(t)
			if a := st.Do(t, http.MethodPost, m.URL+"&uploads", nil, nil); a.Status != http.StatusOK {
				t.Fatal(a)
			}
			if _, err := admin.Revoke(t.Context(), target(m)); err != nil {
				t.Fatal(err)
			}
			return m
		},
		func(ctx context.Context, op *onetime.Operator, m testbed.Minted) error {
			_, err := op.Enable(ctx, target(m), onetime.EnableOptions{})
			return err
		},
		[]string{"s3:GetObject /signatures/*", "s3:GetObject /uploads/*", "s3:ListBucket ", "s3:ListBucketVersions ", "s3:DeleteObjectVersion /signatures/expired/*",
			"s3:DeleteObjectVersion /signatures/parts/*", "s3:AbortMultipartUpload /uploads/*"},
	},
	"list": {
		mintUsed,
		func(ctx context.Context, op *onetime.Operator, _ testbed.Minted) error {
			for _, err := range op.List(ctx, onetime.Filter{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		[]string{"s3:GetObject /signatures/*", "s3:ListBucket "},
	},
}

func mintUsed(t *testing.T, st *testbed.Stack, _ *onetime.Operator) testbed.Minted {
	t.Helper()
	m := st.Mint(t)
	if a := st.Put(t, m, "a photo"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	return m
}

// TestOperatorActions: under the bucket policy of the template, the actions that the
// doc comments name are enough, and none of them can be left out.
func TestOperatorActions(t *testing.T) {
	type attempt struct {
		name, without string
		role          s3server.Role
	}
	var attempts []attempt
	var roles []s3server.Role
	for name, a := range actions {
		for without := -1; without < len(a.statements); without++ {
			var statements []string
			left := ""
			for i, s := range a.statements {
				if i == without {
					left = s
					continue
				}
				action, resource, _ := strings.Cut(s, " ")
				statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":"arn:aws:s3:::%s%s"}`, action, s3servertest.Bucket, resource))
			}
			policy := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
			role := s3server.NewRole(fmt.Sprintf("arn:aws:iam::111122223333:role/operator-%d", len(roles)), json.RawMessage(policy))
			roles = append(roles, role)
			attempts = append(attempts, attempt{name, left, role})
		}
	}
	st := testbed.New(t, func(s *testbed.Setup) { s.S3.Roles = append(s.S3.Roles, roles...) })
	for _, a := range attempts {
		m := actions[a.name].prepare(t, st, operator(st))
		err := actions[a.name].do(t.Context(), operator(st, a.role), m)
		if (err == nil) != (a.without == "") {
			t.Errorf("%s without %q: %v", a.name, a.without, err)
		}
		if err != nil && !strings.Contains(err.Error(), "status 403") {
			t.Errorf("%s without %q: %v, want a 403", a.name, a.without, err)
		}
	}

	// The protection of the index also binds an administrator.
	client := s3servertest.Client(st.S3)
	m := mintUsed(t, st, nil)
	if err := deleteObject(t.Context(), client, m.ID.ExpiredKey()); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("a delete marker over an expired entry: %v, want AccessDenied", err)
	}
	st.WantClaims(t, m.ID, 1)
}

func deleteObject(ctx context.Context, client *s3.Client, key string) error {
	_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
	return err
}
