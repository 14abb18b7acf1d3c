package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Verdict is the result of a malware scan of one version of an upload, as Amazon GuardDuty
// calls it. The zero value stands for no scan.
type Verdict string

// All verdicts.
// https://docs.aws.amazon.com/guardduty/latest/ug/monitoring-malware-protection-s3-scans-gdu.html
const (
	Clean        Verdict = "NO_THREATS_FOUND"
	Threat       Verdict = "THREATS_FOUND"
	Unsupported  Verdict = "UNSUPPORTED"   // it was not scanned: too large, or with a password
	AccessDenied Verdict = "ACCESS_DENIED" // GuardDuty's role may not read it
	ScanFailed   Verdict = "FAILED"
)

// rejecting begins the value of Tag on a version that a scan has not cleared. What follows
// is the verdict.
const rejecting = "rejected:"

// ErrUnscanned is the error for an upload that no scan has spoken of. The result of the scan
// comes with a message of its own; until then nothing is copied.
var ErrUnscanned = errors.New("it was not scanned yet")

// rejects reports whether a scan has ended, and not with the word that clears an upload.
func (v Verdict) rejects() bool { return v != "" && v != Clean }

// rejection returns the verdict for which a version was rejected, by its tags, or "".
func rejection(tags map[string]string) Verdict {
	verdict, ok := strings.CutPrefix(tags[Tag], rejecting)
	if !ok {
		return ""
	}
	return Verdict(verdict)
}

// heed decides whether the first version may be copied, by what the hint says of a scan and
// by what earlier hints have left on its tags. If it may not, the outcome is what becomes of
// it instead. A threat that was found once is final: another scan of the same version does not
// clear it. Any other rejection ends when a scan finds nothing.
func (a *Acceptor) heed(ctx context.Context, key string, hint Hint, first string, tags map[string]string) (Outcome, error) {
	before := rejection(tags)
	other := hint.Version != first
	switch {
	case other && (hint.Verdict != "" || a.Scan && hint.Version != ""):
		return Skipped, nil
	case hint.Verdict == Clean && before != Threat, hint.Verdict == "" && before == "" && !a.Scan:
		return "", nil
	case hint.Verdict == "" && before == "":
		return "", fmt.Errorf("%s, version %s: %w", key, first, ErrUnscanned)
	case hint.Verdict.rejects() && before != Threat && before != hint.Verdict:
		if err := a.Store.SetTags(ctx, key, first, withTag(tags, rejecting+string(hint.Verdict))); err != nil {
			return "", fmt.Errorf("tag %s, version %s: %w", key, first, err)
		}
	}
	return Rejected, nil
}

// scanResult is the source and the detail type of the events by which GuardDuty tells of a
// scan. Sources that begin with aws. are AWS's own: PutEvents answers anybody else
// NotAuthorizedForSourceException.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
const (
	scanSource = "aws.guardduty"
	scanResult = "GuardDuty Malware Protection Object Scan Result"
)

// parseScanResult reads an event that says how the scan of one version ended:
// https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
// Unlike in notifications of S3, the key is not escaped. What is no clear verdict is garbage.
func parseScanResult(body string) (Hint, error) {
	var e struct {
		Source     string
		DetailType string `json:"detail-type"`
		Detail     struct {
			SchemaVersion   string `json:"schemaVersion"`
			ScanStatus      string `json:"scanStatus"`
			ResourceType    string `json:"resourceType"`
			S3ObjectDetails struct {
				BucketName string `json:"bucketName"`
				ObjectKey  string `json:"objectKey"`
				VersionID  string `json:"versionId"`
			} `json:"s3ObjectDetails"`
			ScanResultDetails struct {
				ScanResultStatus Verdict `json:"scanResultStatus"`
			} `json:"scanResultDetails"`
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return Hint{}, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	d := e.Detail
	verdict := d.ScanResultDetails.ScanResultStatus
	switch {
	case e.Source != scanSource || e.DetailType != scanResult:
		return Hint{}, fmt.Errorf("%w: %q of %q", ErrGarbage, e.DetailType, e.Source)
	case !strings.HasPrefix(d.SchemaVersion, "1.") || d.ResourceType != "S3_OBJECT":
		return Hint{}, fmt.Errorf("%w: scan of %q, version %q", ErrGarbage, d.ResourceType, d.SchemaVersion)
	case d.S3ObjectDetails.VersionID == "":
		return Hint{}, fmt.Errorf("%w: scan of no version", ErrGarbage)
	}
	switch verdict {
	case Clean:
		if d.ScanStatus != "COMPLETED" {
			return Hint{}, fmt.Errorf("%w: scan is %q with %q", ErrGarbage, d.ScanStatus, verdict)
		}
	case Threat, Unsupported, AccessDenied, ScanFailed:
	default:
		return Hint{}, fmt.Errorf("%w: scan with %q", ErrGarbage, verdict)
	}
	return Hint{Bucket: d.S3ObjectDetails.BucketName, Key: d.S3ObjectDetails.ObjectKey, Version: d.S3ObjectDetails.VersionID, Verdict: verdict}, nil
}
