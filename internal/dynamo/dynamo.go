// Package dynamo keeps the signature index, API keys and invitations in a DynamoDB table: it
// says which request each operation is and what each answer means. The requests are carried by
// a Table: package dynamowire at the edge, package dynamosdk everywhere else.
//
// Items, by partition key and sort key, where x is the first character of the sort key, or of
// the UUID at the end of <name>:
//
//	p               k        is
//	url#<x>         <hash>   a URL: its valid entry, its claim, its multipart upload
//	upload#<x>      <name>   the way back from an upload to its URL
//	key#<x>         <id>     the record of an API key
//	invitation#<x>  <id>     the record of an invitation
//	slots#<id>      <n>      a slot of it
//	day#<x>         <id>/<d> what an API key has minted on a day
//
// There are sixteen partitions of each kind, so that a list is in the order of the names, as
// it is on S3, and no partition gets all writes.
//
// Attributes of a URL. All of them but the claim and the upload are written by the mint, once:
//
//	valid              body of the valid entry
//	expires            what it demands (onetime.Demands), to be compared: a time in seconds,
//	least most added   numbers of bytes,
//	types              types with a comma before and behind each, and a comma alone for any,
//	sole sha tagged    "yes" or not there
//	claim nonce why    body of the expired entry, its nonce and its reason
//	parts              body of the parts entry
//	forget             when DynamoDB may delete the item, in seconds
//
// A day has minted, a number, and forget. All other items have body, and forget if they are
// ever to be deleted.
//
// # Claims
//
// A URL and its claim are one item. So one UpdateItem decides who claims, and the two are
// deleted together: without its valid entry no URL is good, whatever became of its claim. The
// version id of a claim is its nonce, which is random; so to remove a claim on the condition
// that it has this nonce never removes another one. (All claims to complete one multipart
// upload have one nonce, but an upload is ended before its claim is removed.)
//
// DynamoDB deletes an item days after its time, or later:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
// Nothing here depends on when. A URL's item stays for keep after the URL's time. A
// way back stays for as long as the longest URL's item; an invitation and its slots stay for 91 days
// after they were last written, as on S3. The records of API keys stay for ever.
//
// # Requests
//
// All writes are UpdateItem. Unlike PutItem it can be allowed by attribute. All reads are
// strongly consistent and name the attributes that they want. A condition counts as a use of
// the attributes in it:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
//
//	operation                          request     partition     attributes beside p and k
//	WriteValid                         UpdateItem  url#*         valid expires least most types sole sha tagged added forget
//	WriteAtOnce                        UpdateItem  url#*         valid expires least most types sole sha tagged added forget claim nonce why parts
//	ReadValid                          GetItem     url#*         valid
//	HeadExpired                        GetItem     url#*         nonce why
//	ReadExpired, ListExpired           GetItem     url#*         claim nonce
//	Spend, with ReturnValues ALL_NEW   UpdateItem  url#*         claim nonce why; valid expires least most types sole sha tagged added
//	Claim                              UpdateItem  url#*         claim nonce why; valid
//	DeleteExpired                      UpdateItem  url#*         claim nonce why
//	WriteParts                         UpdateItem  url#*         parts; valid
//	ReadParts, ListPartsEntry          GetItem     url#*         parts
//	DeletePartsEntry                   UpdateItem  url#*         parts
//	ListEntries                        Query       url#*         valid or claim
//	WriteUpload                        UpdateItem  upload#*      body forget
//	ReadUpload                         GetItem     upload#*      body
//	ReadKey                            GetItem     key#*         body
//	CreateKey, ReplaceKey              UpdateItem  key#*         body
//	ListKeys                           Query       key#*         none
//	ReadInvitation                     GetItem     invitation#*  body
//	Create-, ReplaceInvitation         UpdateItem  invitation#*  body forget
//	ListInvitations                    Query       invitation#*  none
//	ReadSlot                           GetItem     slots#*       body
//	CreateSlot, ReplaceSlot            UpdateItem  slots#*       body forget
//	ListSlots                          Query       slots#*       body
//	AddMinted                          UpdateItem  day#*         minted forget
//
// What is behind a semicolon stands in conditions only. ReturnValues is NONE for all but
// Spend. Every UpdateItem with a condition asks for the old item if the condition fails
// (ReturnValuesOnConditionCheckFailure), for which IAM has no condition key. IAM cannot tell
// an attribute in a condition from one that is written: so it can keep the mint from claims,
// and it cannot keep the gate from valid entries.
//
// What a function does, by the operations above:
//
//	mint          WriteValid
//	              with acceptance: WriteUpload
//	              with API keys: ReadKey, AddMinted
//	              with invitations: ReadInvitation, ReadSlot, CreateSlot, ReplaceSlot, ListSlots,
//	              HeadExpired, ReadExpired, Claim; to make and revoke them also CreateInvitation,
//	              ReplaceInvitation, ListInvitations
//	              for the owner's status and revoke: ReadValid, HeadExpired, ReadExpired, Claim
//	gate          Spend, ReadValid, HeadExpired, ReadExpired, Claim, ListExpired
//	              multipart: ReadParts, WriteParts
//	page          none
//	acceptance    ReadUpload
//	operator      all but WriteValid, Spend, WriteParts and AddMinted; WriteAtOnce and WriteUpload to move URLs
package dynamo

import (
	"context"
	"errors"
	"strconv"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/lean/httpdate"
	"oncegate/internal/onetime"
)

// Index is the signature index in a table, and the other records there. It keeps all that
// package s3index does, except uploads themselves. Its methods may be called concurrently.
type Index struct {
	table Table
	keep  time.Duration
}

var (
	_ onetime.Index       = (*Index)(nil)
	_ onetime.Spender     = (*Index)(nil)
	_ onetime.UploadIndex = (*Index)(nil)
	_ onetime.AtOnce      = (*Index)(nil)
	_ onetime.Tally       = (*Index)(nil)
)

// New returns the index in this table. keep is how long the item of a URL stays after the
// URL's time.
func New(table Table, keep time.Duration) *Index { return &Index{table, keep} }

// Kinds of items, by the beginning of their partition keys.
const (
	urls        = layout.URLPartitions
	uploads     = layout.UploadPartitions
	keys        = layout.APIKeyPartitions
	invitations = layout.InvitationPartitions
	slots       = layout.SlotPartitions
	days        = layout.DayPartitions
)

// key is the key of the item of this kind with this name.
func key(kind, name string) Key { return Key{kind + name[:min(1, len(name))], name} }

func urlKey(id onetime.ID) Key { return key(urls, string(id)) }

// get reads attributes of an item. The item is nil if there is none.
func (x *Index) get(ctx context.Context, op string, limit time.Duration, key Key, attributes ...string) (Answer, error) {
	answer, err := x.table.Get(ctx, limit, key, attributes...)
	return answer, outcome(op, answer.Status, answer.Code, err)
}

// read reads one attribute that holds a body, or returns onetime.ErrAbsent.
func (x *Index) read(ctx context.Context, op string, limit time.Duration, key Key, attribute string) ([]byte, error) {
	answer, err := x.get(ctx, op, limit, key, attribute)
	if err != nil {
		return nil, err
	}
	body, ok := answer.Item[attribute]
	if !ok {
		return nil, onetime.ErrAbsent
	}
	return []byte(body.Text), nil
}

// update makes a write. held is false if its condition did not hold: then nothing was written,
// and the answer has the item as it is.
func (x *Index) update(ctx context.Context, op string, limit time.Duration, update Update) (answer Answer, held bool, err error) {
	answer, err = x.table.Update(ctx, limit, update)
	if err == nil && answer.Status == 400 && answer.Code == ConditionFailed {
		return answer, false, nil
	}
	return answer, true, outcome(op, answer.Status, answer.Code, err)
}

// write makes a write. The error is otherwise if its condition did not hold.
func (x *Index) write(ctx context.Context, op string, limit time.Duration, otherwise error, update Update) error {
	_, held, err := x.update(ctx, op, limit, update)
	if err == nil && !held {
		err = otherwise
	}
	return err
}

// outcome is the error that package onetime gives an answer: nil for 200, or a fault.
func outcome(op string, status int, code string, err error) error {
	switch {
	case err != nil:
		return &onetime.Fault{Op: op, Stale: errors.Is(err, ErrStale), Err: err}
	case status == 200:
		return nil
	case throttles(code):
		status = 429
	}
	return refused(op, status, code)
}

// refused is a definite refusal that no method names. why may be "".
func refused(op string, status int, why string) error {
	fault := &onetime.Fault{Op: op, Status: status}
	if why != "" {
		fault.Err = errors.New(why)
	}
	return fault
}

// throttles reports whether a refusal with this code may end otherwise when the request is
// made again. All of these have the status 400:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
func throttles(code string) bool {
	switch code {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException",
		"TransactionConflictException", "TransactionInProgressException", "ReplicatedWriteConflictException":
		return true
	}
	return false
}

// at is when the answer was given, by DynamoDB's clock, or zero.
func (a Answer) at() time.Time {
	at, err := httpdate.Parse(a.Date)
	if err != nil {
		return time.Time{}
	}
	return at
}

func text(s string) Value { return Value{Text: s} }

func number(n int64) Value { return Value{Text: strconv.FormatInt(n, 10), Number: true} }

// seconds is a time as items have it. It is cut to the second, as is what it is compared
// with: for whole numbers e and any t, t < e and floor(t) < e are the same.
func seconds(t time.Time) Value { return number(t.Unix()) }
