package acceptance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/acceptance"
)

// scanned is the event by which GuardDuty tells of a scan, with all that its documentation
// shows: https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
func scanned(bucket, key, version, status, verdict string) string {
	threats := "null"
	if verdict == "THREATS_FOUND" {
		threats = `[{"name": "EICAR-Test-File (not a virus)"}]`
	}
	return fmt.Sprintf(`{"version":"0","id":"72c7d362-737a-6dce-fc78-9e27a0171419","detail-type":"GuardDuty Malware Protection Object Scan Result",
		"source":"aws.guardduty","account":"111122223333","time":"2026-03-04T05:06:07Z","region":"us-east-1",
		"resources":["arn:aws:guardduty:us-east-1:111122223333:malware-protection-plan/b4c7f464ab3a4EXAMPLE"],
		"detail":{"schemaVersion":"1.0","scanStatus":%q,"resourceType":"S3_OBJECT",
		"s3ObjectDetails":{"bucketName":%q,"objectKey":%q,"eTag":"ASIAI44QH8DHBEXAMPLE","versionId":%q,"s3Throttled":false},
		"scanResultDetails":{"scanResultStatus":%q,"threats":%s,"statusReasons":null}}}`, status, bucket, key, version, verdict, threats)
}

// statuses are the verdicts, with the status of the scan that comes with each.
var statuses = map[acceptance.Verdict]string{
	acceptance.Clean: "COMPLETED", acceptance.Threat: "COMPLETED", acceptance.Unsupported: "SKIPPED", acceptance.AccessDenied: "SKIPPED",
	acceptance.ScanFailed: "FAILED",
}

func TestParseScanResult(t *testing.T) {
	for verdict, status := range statuses {
		want := acceptance.Hint{Bucket: "b", Key: "uploads/a%2Bb+c", Version: "v", Verdict: verdict} // the key is not escaped
		hints, err := acceptance.ParseMessage(scanned("b", "uploads/a%2Bb+c", "v", status, string(verdict)))
		if err != nil || !slices.Equal(hints, []acceptance.Hint{want}) {
			t.Errorf("%s: %v, %v", verdict, hints, err)
		}
	}
	good := scanned("b", "k", "v", "COMPLETED", "NO_THREATS_FOUND")
	for _, body := range []string{
		good + "x", good[:len(good)-1],
		strings.Replace(good, "aws.guardduty", "guardduty", 1), strings.Replace(good, "aws.guardduty", "oncegate", 1),
		strings.Replace(good, "Object Scan Result", "Post Scan Action Failed", 1),
		strings.Replace(good, `"1.0"`, `"2.0"`, 1), strings.Replace(good, "S3_OBJECT", "EBS_VOLUME", 1),
		scanned("b", "k", "", "COMPLETED", "NO_THREATS_FOUND"),
		scanned("b", "k", "v", "SKIPPED", "NO_THREATS_FOUND"), scanned("b", "k", "v", "FAILED", "NO_THREATS_FOUND"), scanned("b", "k", "v", "", "NO_THREATS_FOUND"),
		scanned("b", "k", "v", "COMPLETED", ""), scanned("b", "k", "v", "COMPLETED", "no_threats_found"), scanned("b", "k", "v", "COMPLETED", "LOOKS_FINE"),
		strings.Replace(good, `"scanResultStatus":"NO_THREATS_FOUND"`, `"scanResultStatus":null`, 1),
		strings.Replace(good, `"scanResultStatus":"NO_THREATS_FOUND"`, `"scanResultStatus":["NO_THREATS_FOUND"]`, 1),
	} {
		if hints, err := acceptance.ParseMessage(body); !errors.Is(err, acceptance.ErrGarbage) || hints != nil {
			t.Errorf("%s: %v, %v", body, hints, err)
		}
	}
}

// FuzzParseScanResult: only what is read as a whole clears an upload.
func FuzzParseScanResult(f *testing.F) {
	for verdict, status := range statuses {
		f.Add(scanned("b", "k", "v", status, string(verdict)))
	}
	f.Fuzz(func(t *testing.T, body string) {
		hints, err := acceptance.ParseMessage(body)
		if err != nil && hints != nil {
			t.Errorf("%v and %v", hints, err)
		}
		for _, h := range hints {
			if h.Verdict == "" {
				continue
			}
			var fields map[string]any
			if _, known := statuses[h.Verdict]; !known || h.Version == "" || json.Unmarshal([]byte(body), &fields) != nil {
				t.Errorf("%+v of %s", h, body)
			}
		}
	})
}

// heed follows a hint of the first world's key to its end.
func (w *world) heed(version string, verdict acceptance.Verdict) (acceptance.Result, error) {
	return (&view{world: w}).follow(acceptance.Hint{Bucket: bucket, Key: key, Version: version, Verdict: verdict})
}

// wantNothing checks that nothing was copied and announced, and what the first version's tag
// is.
func (w *world) wantNothing(first, tag string) {
	w.t.Helper()
	if len(w.objects[to]) != 0 || len(w.events) != 0 || len(w.uploads) != 0 {
		w.t.Errorf("%d copies, %d announcements, %d copies under way", len(w.objects[to]), len(w.events), len(w.uploads))
	}
	if got := w.find(key, first).tags[acceptance.Tag]; got != tag {
		w.t.Errorf("the tag is %q, want %q", got, tag)
	}
}

// eachScanned is each, with scans asked for.
func eachScanned(t *testing.T, f func(t *testing.T, w *world)) {
	each(t, func(t *testing.T, w *world) {
		w.scan = true
		f(t, w)
	})
}

// TestScan: an upload is copied when a scan of it has found nothing, and on no other word.
func TestScan(t *testing.T) {
	eachScanned(t, func(t *testing.T, w0 *world) {
		for verdict := range statuses {
			w := w0.another()
			first := w.upload("content")
			if r, err := w.heed(first, ""); !errors.Is(err, acceptance.ErrUnscanned) || r.Outcome != "" || r.First != first || r.Late {
				t.Errorf("the notification: %+v, %v", r, err)
			}
			w.wantNothing(first, "")
			for i := range 3 {
				r, err := w.heed(first, verdict)
				want := acceptance.Rejected
				if verdict == acceptance.Clean {
					want = map[bool]acceptance.Outcome{true: acceptance.Accepted, false: acceptance.Done}[i == 0]
				}
				if err != nil || r != (acceptance.Result{Outcome: want, First: first}) {
					t.Errorf("%s, delivery %d: %+v, %v", verdict, i, r, err)
				}
			}
			r, err := w.heed(first, "") // the notification comes again
			if verdict == acceptance.Clean {
				w.want(first)
				if err != nil || r.Outcome != acceptance.Done || len(w.events) != 1 {
					t.Errorf("%+v, %v, %d announcements", r, err, len(w.events))
				}
				continue
			}
			w.wantNothing(first, "rejected:"+string(verdict))
			if err != nil || r.Outcome != acceptance.Rejected {
				t.Errorf("%s, then the notification: %+v, %v", verdict, r, err)
			}
		}
	})
}

// TestScanOfAnotherVersion: what a scan says of one version is of no use for another one.
func TestScanOfAnotherVersion(t *testing.T) {
	eachScanned(t, func(t *testing.T, w *world) {
		first, late := w.upload("content"), w.upload("another")
		for verdict := range statuses {
			for _, version := range []string{late, "of another object"} {
				if r, err := w.heed(version, verdict); err != nil || r != (acceptance.Result{Outcome: acceptance.Skipped, First: first, Late: true}) {
					t.Errorf("%s of %s: %+v, %v", verdict, version, r, err)
				}
			}
		}
		if r, err := w.heed(late, ""); err != nil || r.Outcome != acceptance.Skipped || !r.Late {
			t.Errorf("the notification of a late version: %+v, %v", r, err)
		}
		w.wantNothing(first, "")
		if r, err := w.heed(first, acceptance.Clean); err != nil || r.Outcome != acceptance.Accepted {
			t.Errorf("%+v, %v", r, err)
		}
		// A threat in a late version does not touch what was accepted.
		if r, err := w.heed(late, acceptance.Threat); err != nil || r.Outcome != acceptance.Done || !r.Late {
			t.Errorf("a threat in a late version: %+v, %v", r, err)
		}
		w.want(first)
	})
}

// TestScanOrders: notifications and results of scans of two versions, each of them any number
// of times and in every order. The first version is accepted if and only if it was cleared
// before a threat was found in it, and nothing else ever is.
func TestScanOrders(t *testing.T) {
	type hint struct {
		late    bool
		verdict acceptance.Verdict
	}
	all := []hint{{false, ""}, {true, ""}, {false, acceptance.Clean}, {true, acceptance.Clean}, {false, acceptance.Threat}, {true, acceptance.Threat}, {false, acceptance.ScanFailed}}
	length := 5
	if testing.Short() {
		length = 4
	}
	rounds := 0
	eachScanned(t, func(t *testing.T, w0 *world) {
		for n := range pow(len(all), length) {
			w := w0.another()
			first, late := w.upload("content"), w.upload("another")
			accepted, threat, tag := false, false, ""
			var order []hint
			for i := n; len(order) < length; i /= len(all) {
				h := all[i%len(all)]
				order = append(order, h)
				version := map[bool]string{true: late, false: first}[h.late]
				r, err := w.heed(version, h.verdict)
				waits := h == hint{} && !accepted && tag == ""
				if errors.Is(err, acceptance.ErrUnscanned) != waits || err != nil && !waits || r.First != first || r.Late != h.late {
					t.Fatalf("%v: %+v, %v", order, r, err)
				}
				if !h.late && !accepted {
					switch {
					case h.verdict == acceptance.Clean && !threat:
						accepted = true
					case h.verdict == acceptance.Threat, h.verdict == acceptance.ScanFailed && !threat:
						tag = "rejected:" + string(h.verdict)
						threat = threat || h.verdict == acceptance.Threat
					}
				}
			}
			if accepted {
				w.want(first)
			} else {
				w.wantNothing(first, tag)
			}
			if rounds++; t.Failed() {
				t.Fatalf("%v\n%v", order, w)
			}
		}
	})
	t.Logf("%d orders", rounds)
}

func pow(n, exponent int) int {
	all := 1
	for range exponent {
		all *= n
	}
	return all
}

// TestScanFaults: after a crash before each operation, an answer that got lost, or an
// operation that was never carried out, the next delivery completes the work. Until then
// nothing is copied that a scan has not cleared.
func TestScanFaults(t *testing.T) {
	eachScanned(t, func(t *testing.T, w0 *world) {
		for verdict := range statuses {
			for _, what := range []string{"crash", "lost", "silent"} {
				for n := 0; ; n++ {
					w := w0.another()
					first := w.upload("content")
					seen := 0
					c := w.startHint(acceptance.Hint{Bucket: bucket, Key: key, Version: first, Verdict: verdict}, func(string) fault {
						seen++
						return map[bool]map[string]fault{true: {"lost": lost, "silent": silent}}[seen == n+1][what]
					})
					over := false
					if what == "crash" {
						for range n + 1 {
							if _, more := c.next(); !more {
								over = true
							}
						}
						c.stop()
					} else {
						c.run()
						if over = seen <= n; !over && c.err == nil {
							t.Errorf("%s, %s at %d: no error", verdict, what, n)
						}
					}
					if over {
						break
					}
					if verdict != acceptance.Clean && len(w.objects[to]) != 0 {
						t.Errorf("%s, %s at %d: it was copied", verdict, what, n)
					}
					r, err := w.heed(first, verdict)
					if err != nil || r.First != first || (r.Outcome == acceptance.Rejected) != (verdict != acceptance.Clean) {
						t.Errorf("%s, %s at %d, then %+v, %v", verdict, what, n, r, err)
					}
					if verdict == acceptance.Clean {
						w.want(first)
						w.noParts()
					} else {
						w.wantNothing(first, "rejected:"+string(verdict))
					}
				}
			}
		}
	})
}

// TestNotificationFinishes: what a scan has cleared and a crash has left half done is finished
// by whatever comes next, and what was not copied is not.
func TestNotificationFinishes(t *testing.T) {
	eachScanned(t, func(t *testing.T, w0 *world) {
		for n := 1; ; n++ {
			w := w0.another()
			first := w.upload("content")
			c := w.startHint(acceptance.Hint{Bucket: bucket, Key: key, Version: first, Verdict: acceptance.Clean}, nil)
			more := true
			for range n {
				_, more = c.next()
			}
			c.stop()
			copied := len(w.objects[to]) > 0
			r, err := w.heed(first, "")
			switch {
			case copied && (err != nil || r.Outcome != acceptance.Finished && r.Outcome != acceptance.Done):
				t.Errorf("crash at %d: %+v, %v", n, r, err)
			case !copied && (!errors.Is(err, acceptance.ErrUnscanned) || len(w.objects[to]) > 0):
				t.Errorf("crash at %d: %+v, %v", n, r, err)
			case copied:
				w.want(first)
			}
			if !more {
				break
			}
		}
	})
}

// TestTwoScansAtOnce: two scans of one version that contradict each other, in every order of
// their operations: it is accepted as a whole or not at all, and the threat is always reported.
func TestTwoScansAtOnce(t *testing.T) {
	eachScanned(t, func(t *testing.T, w0 *world) {
		accepted := map[bool]int{}
		for start := range 20 { // the threat is spoken of after so many operations of the other
			for pause := range 4 { // and goes on after so many more, one each
				w := w0.another()
				first := w.upload("content")
				clean := w.startHint(acceptance.Hint{Bucket: bucket, Key: key, Version: first, Verdict: acceptance.Clean}, nil)
				threat := w.startHint(acceptance.Hint{Bucket: bucket, Key: key, Version: first, Verdict: acceptance.Threat}, nil)
				for range start {
					clean.next()
				}
				for range pause {
					threat.next()
					clean.next()
				}
				threat.run()
				clean.run()
				if threat.err != nil || clean.err != nil {
					t.Errorf("%d, %d: %v, %v", start, pause, clean.err, threat.err)
				}
				was := len(w.objects[to]) > 0
				accepted[was]++
				if was != (len(w.events) > 0) {
					t.Errorf("%d, %d: copied %v, %d announcements", start, pause, was, len(w.events))
				}
				// The notification comes again, and sets right what two writers of one tag may
				// have left.
				if r, err := w.heed(first, ""); err != nil {
					t.Errorf("%d, %d, then %+v, %v", start, pause, r, err)
				}
				if was {
					w.want(first)
				} else {
					w.wantNothing(first, "rejected:THREATS_FOUND")
				}
			}
		}
		if accepted[true] == 0 || accepted[false] == 0 {
			t.Errorf("accepted or not: %v", accepted)
		}
	})
}

// TestScanTurnedOff: without the setting a notification is enough again, but not for what a
// scan has rejected.
func TestScanTurnedOff(t *testing.T) {
	eachScanned(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		w.heed(first, acceptance.Unsupported)
		w.scan = false
		if r, err := w.heed(first, ""); err != nil || r.Outcome != acceptance.Rejected {
			t.Errorf("%+v, %v", r, err)
		}
		w.wantNothing(first, "rejected:UNSUPPORTED")
		delete(w.find(key, first).tags, acceptance.Tag) // an operator lets it through
		if r, err := w.heed(first, ""); err != nil || r.Outcome != acceptance.Accepted {
			t.Errorf("%+v, %v", r, err)
		}
		w.want(first)
	})
}

// TestScanAfterAcceptance: with the setting turned on, what was accepted before stays, also if a
// scan finds a threat in it.
func TestScanAfterAcceptance(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.upload("content")
		w.deliver(first)
		w.scan = true
		for verdict := range statuses {
			if r, err := w.heed(first, verdict); err != nil || r.Outcome != acceptance.Done {
				t.Errorf("%s: %+v, %v", verdict, r, err)
			}
		}
		w.want(first)
	})
}

// TestFollowScan: what a scan has not cleared is reported, and the message is done. One that
// waits for its scan is not done, and no error.
func TestFollowScan(t *testing.T) {
	w := newWorld(t, true)
	w.scan = true
	first := w.upload("content")
	var lines bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&lines, nil))
	acceptor := (&view{world: w}).acceptor()
	follow := func(body string) (done bool, log_ string) {
		lines.Reset()
		return acceptor.Follow(t.Context(), log, body) == nil, lines.String()
	}
	if done, said := follow(notification(bucket, key, first)); done || !strings.Contains(said, `"msg":"not scanned yet"`) || strings.Contains(said, "ERROR") {
		t.Errorf("waiting: %v, %s", done, said)
	}
	report := func(verdict, outcome string) string {
		return `"level":"WARN","msg":"rejected by the scan","key":"` + key + `","version":"` + first + `","verdict":"` + verdict + `","outcome":"` + outcome + `"`
	}
	if done, said := follow(scanned(bucket, key, first, "SKIPPED", "UNSUPPORTED")); !done || !strings.Contains(said, report("UNSUPPORTED", "rejected")) {
		t.Errorf("rejected: %v, %s", done, said)
	}
	if done, said := follow(notification(bucket, key, first)); !done || strings.Contains(said, acceptance.RejectedMessage) {
		t.Errorf("once more: %v, %s", done, said)
	}
	if done, said := follow(scanned(bucket, key, first, "COMPLETED", "NO_THREATS_FOUND")); !done || strings.Contains(said, acceptance.RejectedMessage) {
		t.Errorf("cleared: %v, %s", done, said)
	}
	w.want(first)
	if done, said := follow(scanned(bucket, key, first, "COMPLETED", "THREATS_FOUND")); !done || !strings.Contains(said, report("THREATS_FOUND", "done")) {
		t.Errorf("a threat in what was accepted: %v, %s", done, said)
	}
	for _, body := range []string{
		scanned("another", key, first, "COMPLETED", "THREATS_FOUND"), scanned(bucket, "malware-protection-resource-validation-object", "v", "COMPLETED", "THREATS_FOUND"),
	} {
		if done, said := follow(body); done || strings.Contains(said, acceptance.RejectedMessage) {
			t.Errorf("%s: %v, %s", body, done, said)
		}
	}
}
