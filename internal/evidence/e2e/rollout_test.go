package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// A deploy updates one resource after the other, and so does a rollback. Until it is done,
// requests meet some of the old settings and some of the new ones. These tests play every
// such mixture.

// update is what is updated as one, with what it is in a deployment. Roles, and policies,
// are resources of their own, but no request meets two of them.
type update struct {
	name string
	// of is its content, to be compared. take gives mix what it is in from.
	of   func(d *cfn.Deployment) any
	take func(mix, from *cfn.Deployment)
}

// updates are all that can differ between two settings and plays a part in a request. A
// published version of an edge function takes effect with the distribution. What is new is
// made before anything refers to it and what is gone is deleted after, so that both are
// there in between.
var updates = []update{
	{"bucket stack", func(d *cfn.Deployment) any { return []any{d.Bucket, slices.Sorted(maps.Keys(d.Queues)), d.Rules} }, func(mix, from *cfn.Deployment) {
		mix.Bucket, mix.Rules = from.Bucket, from.Rules
		maps.Copy(mix.Queues, from.Queues)
		takeRegional(mix, from, false)
	}},
	{"edge roles", func(d *cfn.Deployment) any {
		var contents []any
		for _, id := range slices.Sorted(maps.Keys(d.Roles)) {
			if ofEdge(id) {
				contents = append(contents, d.Roles[id].RoleProperties)
			}
		}
		return contents
	}, func(mix, from *cfn.Deployment) {
		for id, r := range from.Roles {
			if ofEdge(id) {
				mix.Roles[id] = r
			}
		}
	}},
	{"regional stack", func(d *cfn.Deployment) any {
		contents := map[string]any{}
		for name, f := range d.Regional {
			if decides(name) {
				settings, _ := os.ReadFile(filepath.Join(f.Directory, "config.json"))
				contents[name] = []any{f.FunctionProperties.MemorySize, f.Role.RoleProperties, string(settings)}
			}
		}
		return contents
	}, func(mix, from *cfn.Deployment) { takeRegional(mix, from, true) }},
	{"policies", func(d *cfn.Deployment) any { return []any{d.OriginRequestPolicies, d.ResponseHeadersPolicies} }, func(mix, from *cfn.Deployment) {
		maps.Copy(mix.OriginRequestPolicies, from.OriginRequestPolicies)
		maps.Copy(mix.ResponseHeadersPolicies, from.ResponseHeadersPolicies)
	}},
	{distribution, nil, func(mix, from *cfn.Deployment) {
		mix.Distribution, mix.Functions = from.Distribution, from.Functions
	}},
}

// distribution is what differs between any two settings: they are packed with the functions.
const distribution = "distribution"

func ofEdge(role string) bool {
	return strings.HasPrefix(role, "MintRole") || strings.HasPrefix(role, "GateRole")
}

// decides reports whether a regional function stands behind one at the edge.
func decides(function string) bool {
	return strings.HasSuffix(function, "-regional-mint") || strings.HasSuffix(function, "-regional-gate")
}

// takeRegional takes the regional functions that decide, or the others, and their roles.
func takeRegional(mix, from *cfn.Deployment, deciding bool) {
	for name, f := range from.Regional {
		if decides(name) == deciding {
			mix.Regional[name], mix.Roles[f.Role.ID] = f, f.Role
		}
	}
}

// mixture is a deployment under way.
type mixture struct {
	name     string
	settings map[string]any // of the side that has the distribution
	change   func(*cfn.Deployment)
	key      string // the same for mixtures that are alike
}

// side is a deployment, as it was or as it is to be.
type side struct {
	name       string
	settings   map[string]any
	deployment func() *cfn.Deployment // a fresh copy
	contents   map[string]string      // by update
}

// newSide makes the deployment of settings; change may alter its templates.
func newSide(t *testing.T, name string, settings map[string]any, change func(*testbed.Templates)) side {
	all := map[string]any{"bucket": s3servertest.Bucket, "region": s3servertest.Region, "runtime": "edge"}
	maps.Copy(all, settings)
	dir := testbed.Assembly(t, all, change)
	s := side{name, all, func() *cfn.Deployment {
		d, err := cfn.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, map[string]string{}}
	d := s.deployment()
	for _, u := range updates {
		content := any(all)
		if u.of != nil {
			content = u.of(d)
		}
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		s.contents[u.name] = string(text)
	}
	return s
}

// mixtures are all that can be met on the way between two deployments, in whatever order
// resources are updated: a deploy and its rollback go through some of them.
func mixtures(a, b side) (all []mixture) {
	var differing []update
	for _, u := range updates {
		if u.name == distribution || a.contents[u.name] != b.contents[u.name] {
			differing = append(differing, u)
		}
	}
	// With none or all of them it is one of the two.
	for set := 1; set < 1<<len(differing)-1; set++ {
		m := mixture{name: b.name + " on " + a.name + ":"}
		for _, u := range updates {
			from := a
			if i := slices.IndexFunc(differing, func(d update) bool { return d.name == u.name }); i >= 0 && set&(1<<i) != 0 {
				from = b
				m.name += " " + u.name + ","
			}
			if u.name == distribution {
				m.settings = from.settings
			}
			m.key += from.contents[u.name] + "\n"
		}
		m.change = func(mix *cfn.Deployment) {
			// Where only one side has it, it is there.
			for _, from := range []side{b, a} {
				for _, u := range updates {
					u.take(mix, from.deployment())
				}
			}
			for i, u := range differing {
				if set&(1<<i) != 0 {
					u.take(mix, b.deployment())
				}
			}
			for _, functions := range []map[string]*cfn.Function{mix.Functions, mix.Regional} {
				for _, f := range functions {
					f.Role = mix.Roles[f.Role.ID]
				}
			}
		}
		all = append(all, m)
	}
	return all
}

// play uploads to a mixture with URLs that were minted before, with every kind of limit,
// and says what went wrong: what was given away, and what was spent for nothing.
func play(t *testing.T, m mixture) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	st := testbed.New(t, func(s *testbed.Setup) {
		s.Settings, s.Deployment = m.settings, m.change
	})
	index := s3index.New(s3sdk.New(s3servertest.Bucket, s3servertest.Region, st.S3.URL(),
		credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, "")))
	minter := &onetime.Minter{Index: index, Clock: wallClock{}, Entropy: rand.Reader, Region: s3servertest.Region, Bounds: onetime.Bounds{
		Life: time.Hour, MaxLife: onetime.MaxLife, MaxBytes: onetime.MaxBytes, SHA256: true,
	}}
	const body = "a photo"
	sum := sha256.Sum256([]byte(body))
	for name, order := range map[string]onetime.Order{
		"plain": {}, "type and name": {Limits: onetime.Limits{Type: "image/png"}, Name: "a.png"},
		"sha256": {Limits: onetime.Limits{SHA256: base64.StdEncoding.EncodeToString(sum[:])}},
	} {
		minted, err := minter.Mint(t.Context(), order, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, st.Edge.URL()+minted.Path+"?"+minted.Query, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", "https://app.example")
			r.Close = true
			response, err := http.DefaultTransport.RoundTrip(r) // not by the stack, which fails the test
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if leak := st.Leak(fmt.Sprint(response.Header) + string(text)); leak != "" {
				bad("%s: %d: %s", name, response.StatusCode, leak)
			}
		}
		key := strings.TrimPrefix(minted.Path, "/")
		spent := testbed.Claims(t, st.Records(), minted.ID)
		stored, _ := st.Versions(t, key)
		if spent != stored || stored > 1 {
			bad("%s: spent %d times and stored %d times", name, spent, stored)
		}
	}
	return problems
}

// TestRollout: whatever setting changes into whatever other one, and whichever resources
// are updated so far, no answer gives a secret away and no URL is spent for nothing.
func TestRollout(t *testing.T) {
	everything := map[string]any{
		"writeOnce": true, "sha256": true, "allowedOrigins": []string{"https://app.example"}, "firstVersion": config.Listed, "acceptance": true,
		"auth": "api-key", "ownerApi": true, "memory": 256, "nodeRuntime": config.Node24,
	}
	regional := maps.Clone(everything)
	regional["runtime"] = config.RuntimeRegional
	var sides []side
	for _, s := range []struct {
		name     string
		settings map[string]any
	}{
		{"defaults", nil}, {"writeOnce", map[string]any{"writeOnce": true}}, {"sha256 and a class", map[string]any{"sha256": true, "storageClass": config.InfrequentAccess}},
		{"one origin", map[string]any{"allowedOrigins": []string{"https://app.example"}}}, {"any origin", map[string]any{"allowedOrigins": []string{"*"}}},
		{"listed", map[string]any{"firstVersion": config.Listed}}, {"acceptance", map[string]any{"acceptance": true}},
		{"keys", map[string]any{"auth": "api-key", "ownerApi": true}}, {"node 24", map[string]any{"memory": 256, "nodeRuntime": config.Node24}},
		{"everything", everything}, {"regional", map[string]any{"runtime": config.RuntimeRegional}}, {"regional with everything", regional},
	} {
		sides = append(sides, newSide(t, s.name, s.settings, nil))
	}
	seen, pairs := map[string]bool{}, 0
	slots := make(chan struct{}, 3)
	for i, a := range sides {
		for _, b := range sides[:i] {
			pairs++
			for _, m := range mixtures(a, b) {
				if seen[m.key] {
					continue
				}
				seen[m.key] = true
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					slots <- struct{}{}
					t.Cleanup(func() { <-slots })
					for _, problem := range play(t, m) {
						t.Error(problem)
					}
				})
			}
		}
	}
	t.Logf("%d pairs of settings, %d mixtures", pairs, len(seen))
}

// TestRolloutOfOwnPolicy is what happens where the templates forward by a policy of their
// own, as oncegate's did: it is updated before the distribution, and the old gate signs
// what no longer arrives.
func TestRolloutOfOwnPolicy(t *testing.T) {
	for _, c := range []struct{ setting, header string }{{"writeOnce", "if-none-match"}, {"sha256", "x-amz-checksum-sha256"}} {
		t.Run(c.setting, func(t *testing.T) {
			on := newSide(t, "on", map[string]any{c.setting: true}, testbed.ForwardingLess("nothing"))
			off := newSide(t, "off", nil, testbed.ForwardingLess(c.header))
			leaks, lost := 0, 0
			for _, m := range mixtures(on, off) {
				for _, problem := range play(t, m) {
					if strings.Contains(problem, "an answer holds") {
						leaks++
					}
					if strings.Contains(problem, "spent 1 times and stored 0 times") {
						lost++
					}
				}
			}
			if leaks == 0 || lost == 0 {
				t.Errorf("%d leaks and %d URLs spent for nothing: this test would not notice", leaks, lost)
			}
		})
	}
}
