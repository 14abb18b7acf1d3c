package dynamo

import (
	"context"
	"errors"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// ReadValid implements onetime.Index.
func (x *Index) ReadValid(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, time.Time, error) {
	answer, err := x.get(ctx, "ReadValid", limit, urlKey(id), "valid")
	if err != nil {
		return nil, time.Time{}, err
	}
	valid, ok := answer.Item["valid"]
	if !ok {
		return nil, time.Time{}, onetime.ErrAbsent
	}
	return []byte(valid.Text), answer.at(), nil
}

// WriteValid implements onetime.Index. It changes nothing if there is an entry, and succeeds
// only if that is the same one.
func (x *Index) WriteValid(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) (time.Time, error) {
	const op = "WriteValid"
	expression, values, err := x.mint(body)
	if err != nil {
		return time.Time{}, refused(op, 400, err.Error())
	}
	answer, held, err := x.update(ctx, op, limit, Update{
		Key: urlKey(id), Expression: expression, Values: values,
		Condition: "attribute_not_exists(valid) OR valid = :valid",
	})
	switch {
	case err != nil:
		return time.Time{}, err
	case !held:
		return time.Time{}, refused(op, answer.Status, "there is another valid entry")
	}
	return answer.at(), nil
}

// mint is the expression that writes a valid entry and what it demands, and its values.
func (x *Index) mint(body []byte) (expression string, values Item, err error) {
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		return "", nil, err
	}
	demands := entry.Demands()
	expression = "SET valid = :valid, expires = :expires, least = :least, most = :most, types = :types, added = :added, forget = :forget"
	values = Item{
		":valid":   text(string(body)),
		":expires": seconds(demands.Expires),
		":least":   number(demands.MinBytes),
		":most":    number(demands.MaxBytes),
		":types":   text(anyType),
		":added":   number(int64(demands.Added)),
		":forget":  seconds(demands.Expires.Add(x.keep)),
	}
	if demands.Types != "" {
		values[":types"] = text("," + demands.Types + ",")
	}
	if demands.OnlyType {
		expression += ", sole = :yes"
	}
	if demands.SHA256 {
		expression += ", sha = :yes"
	}
	if demands.Tags {
		expression += ", tagged = :yes"
	}
	if demands.OnlyType || demands.SHA256 || demands.Tags {
		values[":yes"] = text("yes")
	}
	return expression, values, nil
}

// WriteAtOnce implements onetime.AtOnce.
func (x *Index) WriteAtOnce(ctx context.Context, limit time.Duration, id onetime.ID, valid, claim, parts []byte) error {
	const op = "WriteAtOnce"
	expression, values, err := x.mint(valid)
	if err == nil && claim != nil {
		var spent onetime.ExpiredEntry
		spent, err = onetime.ParseExpiredEntry(claim)
		expression += ", claim = :claim, nonce = :nonce, why = :why"
		values[":claim"], values[":nonce"], values[":why"] = text(string(claim)), text(spent.Nonce), text(string(spent.Reason))
	}
	if err != nil {
		return refused(op, 400, err.Error())
	}
	if parts != nil {
		expression += ", parts = :parts"
		values[":parts"] = text(string(parts))
	}
	return x.write(ctx, op, limit, onetime.ErrExists, Update{
		Key: urlKey(id), Expression: expression, Values: values, Condition: "attribute_not_exists(valid)",
	})
}

// anyType is the attribute types where there is no limit.
const anyType = ","

// writeClaim writes a claim unless there is one.
const writeClaim = "SET claim = if_not_exists(claim, :claim), nonce = if_not_exists(nonce, :nonce), why = if_not_exists(why, :why)"

// Spend implements onetime.Spender. The condition says what onetime.Demands.Meet says.
func (x *Index) Spend(ctx context.Context, limit time.Duration, id onetime.ID, claim onetime.ExpiredEntry, terms onetime.Terms) (onetime.Spending, error) {
	const op = "Spend"
	if claim.Nonce == "" {
		return onetime.Spending{}, refused(op, 400, "the claim has no nonce")
	}
	values := Item{
		":claim":  text(string(claim.Marshal())),
		":nonce":  text(claim.Nonce),
		":why":    text(string(claim.Reason)),
		":now":    seconds(terms.Now),
		":length": number(terms.Length),
		":room":   number(int64(terms.Room)),
		":any":    text(anyType),
	}
	condition := "attribute_exists(valid) AND attribute_not_exists(nonce) AND expires > :now AND least <= :length AND most >= :length AND added <= :room"
	if !terms.SHA256 {
		condition += " AND attribute_not_exists(sha)"
	}
	if !terms.Tags {
		condition += " AND attribute_not_exists(tagged)"
	}
	switch kind, _, _ := strings.Cut(terms.Type, "/"); {
	case terms.Type == "":
		condition += " AND (types = :any OR attribute_exists(sole))"
	case strings.Contains(terms.Type, ","): // no type has one; in the list of types it could be two
		condition += " AND types = :any"
	default:
		condition += " AND (types = :any OR contains(types, :type) OR contains(types, :kind))"
		values[":type"] = text("," + terms.Type + ",")
		values[":kind"] = text("," + kind + "/*,")
	}
	answer, held, err := x.update(ctx, op, limit, Update{
		Key: urlKey(id), Expression: writeClaim, Values: values, Return: true,
		Condition: "nonce = :nonce OR (" + condition + ")",
	})
	if err != nil {
		return onetime.Spending{}, err
	}
	return onetime.Spending{
		Claimed: held,
		Valid:   bytes(answer.Item, "valid"),
		Expired: bytes(answer.Item, "claim"),
		At:      answer.at(),
	}, nil
}

// bytes are an attribute's, nil if it is not there.
func bytes(item Item, attribute string) []byte {
	if value, ok := item[attribute]; ok {
		return []byte(value.Text)
	}
	return nil
}

// HeadExpired implements onetime.Index. It never answers ErrDeleted.
func (x *Index) HeadExpired(ctx context.Context, limit time.Duration, id onetime.ID) (onetime.Reason, error) {
	answer, err := x.get(ctx, "HeadExpired", limit, urlKey(id), "nonce", "why")
	if err != nil {
		return "", err
	}
	if _, ok := answer.Item["nonce"]; !ok {
		return "", onetime.ErrAbsent
	}
	if answer.Item["why"].Text == string(onetime.Revoked) {
		return onetime.Revoked, nil
	}
	return onetime.Used, nil
}

// Claim implements onetime.Index. The version id is the nonce in the body. Claim makes no
// item: where there is no valid entry, the answer is ErrAbsent.
func (x *Index) Claim(ctx context.Context, limit time.Duration, id onetime.ID, reason onetime.Reason, body []byte) (string, error) {
	const op = "Claim"
	claim, err := onetime.ParseExpiredEntry(body)
	if err != nil {
		return "", refused(op, 400, err.Error())
	}
	answer, held, err := x.update(ctx, op, limit, Update{
		Key:        urlKey(id),
		Expression: writeClaim,
		Condition:  "attribute_exists(valid) AND attribute_not_exists(nonce)",
		Values:     Item{":claim": text(string(body)), ":nonce": text(claim.Nonce), ":why": text(string(reason))},
	})
	if err != nil {
		return "", err
	}
	if held {
		return claim.Nonce, nil
	}
	if _, ok := answer.Item["nonce"]; ok {
		return "", onetime.ErrExists
	}
	return "", onetime.ErrAbsent
}

// ReadExpired implements onetime.Index.
func (x *Index) ReadExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	return x.readClaim(ctx, "ReadExpired", limit, id)
}

func (x *Index) readClaim(ctx context.Context, op string, limit time.Duration, id onetime.ID) ([]byte, string, error) {
	answer, err := x.get(ctx, op, limit, urlKey(id), "claim", "nonce")
	if err != nil {
		return nil, "", err
	}
	nonce, ok := answer.Item["nonce"]
	if !ok {
		return nil, "", onetime.ErrAbsent
	}
	return []byte(answer.Item["claim"].Text), nonce.Text, nil
}

// ListExpired implements onetime.Index. There is one version at most.
func (x *Index) ListExpired(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	_, version, err := x.readClaim(ctx, "ListExpired", limit, id)
	return oneVersion(version, err)
}

// oneVersion is a list of this version, if the error is nil, or of none, if it is ErrAbsent.
func oneVersion(version string, err error) ([]onetime.Version, error) {
	switch {
	case err == nil:
		return []onetime.Version{{ID: version}}, nil
	case errors.Is(err, onetime.ErrAbsent):
		return nil, nil
	}
	return nil, err
}

// WriteUpload implements onetime.UploadIndex. As WriteValid, it changes nothing if there is an
// entry.
func (x *Index) WriteUpload(ctx context.Context, limit time.Duration, key string, body []byte) error {
	const op = "WriteUpload"
	answer, held, err := x.update(ctx, op, limit, Update{
		Key:        uploadKey(key),
		Expression: "SET body = :body, forget = :forget",
		Condition:  "attribute_not_exists(body) OR body = :body",
		Values:     Item{":body": text(string(body)), ":forget": seconds(time.Now().Add(onetime.MaxLife + x.keep))},
	})
	if err == nil && !held {
		err = refused(op, answer.Status, "there is another upload entry")
	}
	return err
}

// ReadUpload returns the body of the upload entry of the upload with this key, or
// onetime.ErrAbsent.
func (x *Index) ReadUpload(ctx context.Context, limit time.Duration, key string) ([]byte, error) {
	return x.read(ctx, "ReadUpload", limit, uploadKey(key), "body")
}

// uploadKey is in the partition of the UUID's first character. By the first of the name, all
// uploads with one prefix would be in one partition.
func uploadKey(upload string) Key {
	name := upload[min(len(layout.Uploads), len(upload)):]
	_, uuid, _ := layout.SplitUpload(name)
	return Key{key(uploads, uuid).Partition, name}
}
