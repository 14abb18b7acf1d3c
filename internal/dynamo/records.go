package dynamo

import (
	"context"
	"time"

	"oncegate/internal/onetime"
)

// WriteParts creates the parts entry, as onetime.PartStore says. It makes no item.
func (x *Index) WriteParts(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) error {
	const op = "WriteParts"
	answer, held, err := x.update(ctx, op, limit, Update{
		Key:        urlKey(id),
		Expression: "SET parts = :parts",
		Condition:  "attribute_exists(valid) AND attribute_not_exists(parts)",
		Values:     Item{":parts": text(string(body))},
	})
	if err != nil || held {
		return err
	}
	if _, ok := answer.Item["parts"]; ok {
		return onetime.ErrExists
	}
	return refused(op, answer.Status, "there is no valid entry")
}

// ReadParts returns the body of the parts entry, or onetime.ErrAbsent.
func (x *Index) ReadParts(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, error) {
	return x.read(ctx, "ReadParts", limit, urlKey(id), "parts")
}

// ListPartsEntry lists the parts entry, as onetime.PartLedger says. There is one version at
// most. Its id is its body, which names an upload: S3 gives the id of an upload only once.
func (x *Index) ListPartsEntry(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	body, err := x.read(ctx, "ListPartsEntry", limit, urlKey(id), "parts")
	return oneVersion(string(body), err)
}

// DeletePartsEntry removes this version of the parts entry, as onetime.PartLedger says.
func (x *Index) DeletePartsEntry(ctx context.Context, limit time.Duration, id onetime.ID, version string) error {
	_, _, err := x.update(ctx, "DeletePartsEntry", limit, Update{
		Key: urlKey(id), Expression: "REMOVE parts", Condition: "parts = :version", Values: Item{":version": text(version)},
	})
	return err
}

// DeleteExpired removes this claim, as onetime.Ledger says.
func (x *Index) DeleteExpired(ctx context.Context, limit time.Duration, id onetime.ID, version string) error {
	_, _, err := x.update(ctx, "DeleteExpired", limit, Update{
		Key: urlKey(id), Expression: "REMOVE claim, nonce, why", Condition: "nonce = :version", Values: Item{":version": text(version)},
	})
	return err
}

// ListEntries lists one page of the entries of a kind, as onetime.Ledger says. Each call is
// one request, for items of one partition. So a page may be empty and not be the last. The
// time of an entry is the one that it has for its making; one that cannot be read has the time
// of the list, so that nobody takes it for an old one.
func (x *Index) ListEntries(ctx context.Context, limit time.Duration, kind onetime.EntryKind, after string) (onetime.EntryPage, error) {
	attribute := "valid"
	if kind == onetime.ExpiredEntries {
		attribute = "claim"
	}
	items, next, err := x.page(ctx, "ListEntries", limit, urls, after, "k", attribute)
	page := onetime.EntryPage{Next: next}
	for _, item := range items {
		body, ok := item[attribute]
		if !ok {
			continue
		}
		modified := time.Now()
		if kind == onetime.ExpiredEntries {
			if entry, err := onetime.ParseExpiredEntry([]byte(body.Text)); err == nil {
				modified = entry.At
			}
		} else if entry, err := onetime.ParseValidEntry([]byte(body.Text)); err == nil {
			modified = entry.Created
		}
		page.Entries = append(page.Entries, onetime.ListedEntry{Name: item["k"].Text, Modified: modified})
	}
	return page, err
}

// first are the characters with which names begin, in their order. There is a partition for
// each.
const first = "0123456789abcdef"

// last comes after all names that begin with one character, when it is put behind that.
const last = "~"

// perPage is how many items a list asks for at once. DynamoDB may give fewer, 1 MB at most.
const perPage = 1000

// page reads the items of a kind that come after the name after, in the order of their names:
// one page of the first partition that may have any. next is the name to go on after, "" at
// the end.
func (x *Index) page(ctx context.Context, op string, limit time.Duration, kind, after string, attributes ...string) (items []Item, next string, err error) {
	i := 0
	for i < len(first) && after >= first[i:i+1]+last {
		i++
	}
	if i == len(first) {
		return nil, "", nil
	}
	begin := first[i : i+1]
	query := Query{Partition: kind + begin, Max: perPage, Attributes: attributes}
	if after > begin {
		query.After = after
	}
	page, err := x.table.Query(ctx, limit, query)
	if err = outcome(op, page.Status, page.Code, err); err != nil {
		return nil, "", err
	}
	switch {
	case page.More && (page.Last <= after || page.Last >= begin+last):
		return nil, "", refused(op, page.Status, "the next page is not a later one")
	case page.More:
		next = page.Last
	case i < len(first)-1:
		next = begin + last
	}
	return page.Items, next, nil
}

// ReadKey returns the record of the API key with this ID, or onetime.ErrAbsent.
func (x *Index) ReadKey(ctx context.Context, limit time.Duration, id string) ([]byte, error) {
	return x.read(ctx, "ReadKey", limit, key(keys, id), "body")
}

// CreateKey writes the record of a new API key, or returns onetime.ErrExists.
func (x *Index) CreateKey(ctx context.Context, limit time.Duration, id string, body []byte) error {
	return x.write(ctx, "CreateKey", limit, onetime.ErrExists, Update{
		Key: key(keys, id), Expression: "SET body = :body", Condition: "attribute_not_exists(body)", Values: Item{":body": text(string(body))},
	})
}

// ReplaceKey writes the record of an API key over the one that is there.
func (x *Index) ReplaceKey(ctx context.Context, limit time.Duration, id string, body []byte) error {
	_, _, err := x.update(ctx, "ReplaceKey", limit, Update{
		Key: key(keys, id), Expression: "SET body = :body", Values: Item{":body": text(string(body))},
	})
	return err
}

// ListKeys returns the IDs of all API keys, in their order. limit bounds each page.
func (x *Index) ListKeys(ctx context.Context, limit time.Duration) ([]string, error) {
	const op = "ListKeys"
	var ids []string
	for after := ""; ; {
		items, next, err := x.page(ctx, op, limit, keys, after, "k")
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			ids = append(ids, item["k"].Text)
		}
		switch {
		case next == "":
			return ids, nil
		case len(ids) > maxKeys:
			return nil, refused(op, 200, "more keys than there can be")
		}
		after = next
	}
}

// maxKeys bounds a list of keys.
const maxKeys = 100_000

// AddMinted implements onetime.Tally.
func (x *Index) AddMinted(ctx context.Context, limit time.Duration, name string, n, most int64, forget time.Time) (bool, error) {
	_, held, err := x.update(ctx, "AddMinted", limit, Update{
		Key:        key(days, name),
		Expression: "SET minted = if_not_exists(minted, :none) + :n, forget = :forget",
		Condition:  "attribute_not_exists(minted) OR minted <= :room",
		Values:     Item{":none": number(0), ":n": number(n), ":room": number(most - n), ":forget": seconds(forget)},
	})
	return err == nil && held, err
}
