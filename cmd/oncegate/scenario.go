package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

const scenarioHelp = `oncegate scenario normal|twice|three-times|too-late [flags] [DISTRIBUTION-URL]

Does what a client would do, and shows for each step what should happen and what did.

    normal       one upload with a URL
    twice        a second upload with the same URL
    three-times  a second and a third one
    too-late     a URL that lives for one second, and an upload after that

Each upload is a few bytes. The objects that a run leaves in the bucket are listed at
the end; nothing is deleted. To check every promise, races included: oncegate verify.

    --json         print one JSON object
` + deploymentHelp + `
Exit status: 0 all happened as it should, 1 something did not, 2 wrong usage.

Example: oncegate scenario twice https://d111111abcdef8.cloudfront.net
`

// errScenario means that a step did not go as it should.
var errScenario = errors.New("not everything happened as it should")

// stepJSON is one step of a scenario.
type stepJSON struct {
	Step string `json:"step"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// scenario is one run in progress.
type scenario struct {
	Name  string     `json:"scenario"`
	URL   string     `json:"url"`
	OK    bool       `json:"ok"`
	Steps []stepJSON `json:"steps"`
	Left  []string   `json:"left"` // keys of objects that may be left in the bucket

	deployment    *client.Deployment
	minted        client.Minted // no URLs if minting failed
	spent, stored bool          // perhaps
}

func runScenario(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("scenario")
	asJSON := fs.Bool("json", false, "")
	f := newDeploymentFlags(fs)
	words, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	play := map[string]func(*scenario, context.Context){
		"normal": (*scenario).normal, "twice": (*scenario).twice, "three-times": (*scenario).threeTimes, "too-late": (*scenario).tooLate,
	}
	if len(words) == 0 || play[words[0]] == nil {
		return usagef(fs, "want a scenario: normal, twice, three-times or too-late")
	}
	s := &scenario{Name: words[0], OK: true, Left: []string{}}
	if s.deployment, s.URL, err = f.open(words[1:]...); err != nil {
		return err
	}
	play[s.Name](s, ctx)
	s.left()
	if *asJSON {
		err = writeJSON(stdout, s)
	} else {
		err = s.print(stdout)
	}
	if err == nil && !s.OK {
		err = errScenario
	}
	return err
}

func (s *scenario) normal(ctx context.Context) {
	s.mint(ctx, nil)
	s.put(ctx, "PUT", "the one upload", "200, stored")
}

func (s *scenario) twice(ctx context.Context) {
	s.normal(ctx)
	s.put(ctx, "PUT again", "a second upload", "403 used")
}

func (s *scenario) threeTimes(ctx context.Context) {
	s.twice(ctx)
	s.put(ctx, "PUT a third time", "a third upload", "403 used")
}

func (s *scenario) tooLate(ctx context.Context) {
	s.mint(ctx, url.Values{"expires": {"1"}})
	s.wait(ctx)
	s.put(ctx, "PUT after that", "an upload too late", "403 expired")
}

// step runs one step and notes the result. Without a URL only the first step runs.
func (s *scenario) step(step, want string, do func() string) {
	got := "not tried"
	if len(s.minted.URLs) > 0 || len(s.Steps) == 0 {
		got = do()
	}
	ok := got == want || strings.HasPrefix(got, want+":")
	s.OK = s.OK && ok
	s.Steps = append(s.Steps, stepJSON{step, want, got, ok})
}

func (s *scenario) mint(ctx context.Context, options url.Values) {
	step := "GET /url"
	if len(options) > 0 {
		step += "?" + options.Encode()
	}
	s.step(step, "200, a URL", func() string {
		var err error
		if s.minted, err = s.deployment.Mint(ctx, options); err != nil {
			return outcomeText(err)
		}
		return "200, a URL"
	})
}

func (s *scenario) put(ctx context.Context, step, content, want string) {
	s.step(step, want, func() string {
		_, err := client.Put(ctx, client.Upload{URL: s.minted.URLs[0], Body: strings.NewReader(content), Size: int64(len(content))})
		fate := client.Unknown
		if err != nil {
			fate = client.FateOf(err)
		}
		s.spent = s.spent || fate == client.Spent || fate == client.Broken || fate == client.Unknown
		s.stored = s.stored || fate == client.Unknown
		if err != nil {
			return outcomeText(err)
		}
		return "200, stored"
	})
}

// outcomeText describes a refusal in two words, or says why there was no answer.
func outcomeText(err error) string {
	r, ok := errors.AsType[*client.Refusal](err)
	switch {
	case ok && r.Reason == onetime.Used, ok && r.Reason == onetime.Expired:
		return fmt.Sprintf("%d %s", r.Status, r.Reason)
	case ok && r.Reason != "":
		return fmt.Sprintf("%d %s (%s)", r.Status, r.Reason, r.Message)
	}
	return err.Error()
}

// longest is how long to wait at most for a URL that should live for one second.
const longest = 10 * time.Second

// wait waits until the URL's time is over by the deployment's clock, which the answer's
// Date shows. It adds a second, because Date has whole seconds and the clocks of two
// machines may differ.
func (s *scenario) wait(ctx context.Context) {
	s.step("wait for the end of its time", "its time is over", func() string {
		now, arrived := s.minted.Date, s.minted.At
		if now.IsZero() { // only this machine's clock is known
			now = arrived
		}
		pause := s.minted.URLs[0].Expires.Sub(now) + time.Second
		if pause > longest {
			return fmt.Sprintf("it lives for %v and more", longest)
		}
		timer := time.NewTimer(time.Until(arrived.Add(pause)))
		defer timer.Stop()
		select {
		case <-timer.C:
			return fmt.Sprintf("its time is over: %.1f s later", time.Since(arrived).Seconds())
		case <-ctx.Done():
			return "interrupted"
		}
	})
}

// left lists what the run may leave in the bucket.
func (s *scenario) left() {
	for _, u := range s.minted.URLs {
		s.Left = append(s.Left, u.ID.ValidKey())
		if s.spent {
			s.Left = append(s.Left, u.ID.ExpiredKey())
		}
		if s.stored {
			s.Left = append(s.Left, u.Key)
		}
	}
}

func (s *scenario) print(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tSHOULD\tDID\tRESULT")
	for _, step := range s.Steps {
		result := "ok"
		if !step.OK {
			result = "FAILED"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", shown(step.Step), step.Want, shown(step.Got), result)
	}
	table.Flush() // writes to memory
	fmt.Fprintf(&b, "\nLeft in the bucket: %d objects\n", len(s.Left))
	for _, key := range s.Left {
		fmt.Fprintf(&b, "  %s\n", key)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
