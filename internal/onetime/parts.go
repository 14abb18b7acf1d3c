package onetime

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/digest"
	"oncegate/internal/lean/strictjson"
)

const (
	// MaxParts is the largest number of parts of an upload. So many fit on one page of S3's
	// list, and S3 can complete so many within one invocation:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
	MaxParts = 1000

	// MinPartBytes is the smallest size that S3 allows for every part except the last:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MinPartBytes = 5 << 20

	// MaxUploadBytes is the largest upload there is: MaxParts parts of 5 GiB.
	MaxUploadBytes = MaxParts * MaxBytes

	// leastPartBytes is the smallest limit on the size of a part.
	leastPartBytes = 8 << 20
)

// PartPlan says which parts an upload may have.
type PartPlan struct {
	Bytes int64 // the largest part
	Count int   // the highest number
}

// plan computes the parts from the limits. They are enough for the largest allowed upload,
// also in the smallest parts that S3 takes, and not much more: nobody can keep more than
// 8/5 of maxBytes in the bucket without completing.
func (l Limits) plan() PartPlan {
	const mib = 1 << 20
	most := l.most()
	size := (most + MaxParts - 1) / MaxParts
	size = (size + mib - 1) / mib * mib
	return PartPlan{
		Bytes: min(max(size, leastPartBytes), MaxBytes),
		Count: int(min(max((most+MinPartBytes-1)/MinPartBytes, 1), MaxParts)),
	}
}

// check refuses a part that the plan does not allow.
func (p PartPlan) check(number int, length int64) error {
	if err := p.CheckNumber(int64(number)); err != nil {
		return err
	}
	switch {
	case length > p.Bytes:
		return refusePartly("a part of this URL has at most " + bytes(p.Bytes))
	case length == 0:
		return refusePartly("a part is empty; an empty file goes in one PUT without partNumber")
	}
	return nil
}

// CheckNumber refuses a part's number that the plan does not allow.
func (p PartPlan) CheckNumber(number int64) error {
	if number < 1 || number > int64(p.Count) {
		return refusePartly("partNumber: this URL takes 1 to " + strconv.Itoa(p.Count))
	}
	return nil
}

// StoredPart is a part as S3 lists it.
type StoredPart struct {
	Number int
	Size   int64
	ETag   string // without quotes
}

// PartsEntry is the content of signatures/parts/<hash>: which multipart upload the URL
// has. There is at most one until Operator.Enable.
type PartsEntry struct {
	Version int       `json:"version"` // 1
	Created time.Time `json:"created"`
	// Upload is S3's upload id. It stays between the edge and S3.
	Upload string `json:"upload"`
	// PartBytes is the largest part.
	PartBytes int64 `json:"partBytes"`
}

// PartsKey is the object key of the entry that names the URL's multipart upload.
func (id ID) PartsKey() string { return layout.PartsEntries + string(id) }

// Marshal writes the entry as it is stored.
func (e PartsEntry) Marshal() []byte {
	var w strictjson.Writer
	w.Int("version", int64(e.Version))
	w.Time("created", e.Created)
	w.String("upload", e.Upload)
	w.Int("partBytes", e.PartBytes)
	return w.Bytes()
}

// ParsePartsEntry reads a stored parts entry and checks that it makes sense.
func ParsePartsEntry(body []byte) (PartsEntry, error) {
	fields, err := entryFields(body, maxEntryBytes)
	if err != nil {
		return PartsEntry{}, fmt.Errorf("parts entry: %w", err)
	}
	e := PartsEntry{
		Version:   entryVersion,
		Created:   fields.Time("created"),
		Upload:    fields.Text("upload"),
		PartBytes: fields.Int("partBytes"),
	}
	if err := fields.Done(); err != nil {
		return PartsEntry{}, fmt.Errorf("parts entry: not the JSON of an entry: %w", err)
	}
	if e.Upload == "" || e.PartBytes < MinPartBytes || e.PartBytes > MaxBytes {
		return PartsEntry{}, errors.New("parts entry: no upload, or a size that no part has")
	}
	return e, nil
}

// checkParts refuses parts from which S3 would not make an object, or whose sum the limits do
// not allow.
func (l Limits) checkParts(parts []StoredPart) error {
	if len(parts) == 0 {
		return refuseIncomplete("no part has arrived; send at least one")
	}
	var sum int64
	for i, part := range parts {
		if part.Number != i+1 {
			return refuseIncomplete("part " + strconv.Itoa(i+1) + " is missing")
		}
		if part.Size < MinPartBytes && i < len(parts)-1 {
			return refuseIncomplete("part " + strconv.Itoa(part.Number) + " has less than " + bytes(MinPartBytes) + ", and only the last one may")
		}
		sum += part.Size
	}
	switch {
	case len(parts) > MaxParts:
		return refuseIncomplete("there are more than " + strconv.Itoa(MaxParts) + " parts")
	case sum > l.most():
		return &Refusal{Reason: TooLarge, Detail: "the parts have " + bytes(sum) + " together, and this URL takes at most " + bytes(l.most())}
	case sum < l.MinBytes:
		return &Refusal{Reason: TooSmall, Detail: "the parts have " + bytes(sum) + " together, and this URL takes at least " + bytes(l.MinBytes)}
	}
	return nil
}

func refuseIncomplete(sentence string) error { return &Refusal{Reason: Incomplete, Detail: sentence} }

// uploadETag names these parts by their ETags. If S3 does not encrypt with a key of KMS, where
// ETags are no MD5s, it is also the ETag that S3 gives to an object of them: the MD5 of the parts'
// MD5s, "-", and the number of parts.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func uploadETag(parts []StoredPart) string {
	sums := make([]byte, 0, digest.MD5Size*len(parts))
	for _, part := range parts {
		if sum, err := hex.DecodeString(part.ETag); err == nil && len(sum) == digest.MD5Size {
			sums = append(sums, sum...)
		} else {
			sums = append(sums, part.ETag...)
		}
	}
	sum := digest.MD5(sums)
	return hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(parts))
}

// ObjectETag is what names all the parts that a client lists, by number and ETag without quotes.
// The error is a Refusal: a number is missing, or an ETag is none.
func ObjectETag(parts []StoredPart) (string, error) {
	for i, part := range parts {
		if part.Number != 1+i {
			return "", refuseIncomplete("parts: want all of them, from 1 on and in order")
		}
		if !isETag(part.ETag) {
			return "", refuseIncomplete("parts: want each with the ETag that it was answered with")
		}
	}
	if len(parts) == 0 {
		return "", refuseIncomplete("parts: want at least one")
	}
	return uploadETag(parts), nil
}

// isUploadETag accepts what uploadETag writes.
func isUploadETag(s string) bool {
	sum, count, ok := strings.Cut(s, "-")
	n, err := strconv.Atoi(count)
	return ok && isLowerHex(sum, 2*digest.MD5Size) && err == nil && n >= 1 && n <= MaxParts && strconv.Itoa(n) == count
}

// PartList is the list of parts in a claim: size and ETag of each, in the order of their
// numbers, which begin with 1.
type PartList string

func partList(parts []StoredPart) PartList {
	b := make([]byte, 0, 44*len(parts))
	for i, part := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, part.Size, 10)
		b = append(append(b, ' '), part.ETag...)
	}
	return PartList(b)
}

// Stored returns the parts. ParseExpiredEntry has checked the list.
func (l PartList) Stored() []StoredPart {
	parts, _ := l.parse()
	return parts
}

func (l PartList) parse() ([]StoredPart, error) {
	if l == "" {
		return nil, nil
	}
	wrong := errors.New("parts: want sizes and ETags")
	parts := make([]StoredPart, 0, strings.Count(string(l), ",")+1)
	for one := range strings.SplitSeq(string(l), ",") {
		size, etag, ok := strings.Cut(one, " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if !ok || err != nil || n < 1 || n > MaxBytes || strconv.FormatInt(n, 10) != size || !isETag(etag) {
			return nil, wrong
		}
		parts = append(parts, StoredPart{Number: len(parts) + 1, Size: n, ETag: etag})
	}
	if len(parts) > MaxParts {
		return nil, wrong
	}
	return parts, nil
}

// isETag accepts the ETag of a part: an MD5 in hex, or other letters and digits if the bucket
// is encrypted with a key of its owner.
func isETag(s string) bool {
	for _, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
