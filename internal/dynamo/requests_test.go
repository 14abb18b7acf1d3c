//go:build !js

package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/dynamo"
	"oncegate/internal/invite"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/onetime"
)

// operation is one method of the index, called so that it does what it is for.
type operation struct {
	name string
	// before makes what it needs, for the ids that it is then called with.
	before func(w *world, id onetime.ID)
	call   func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error
	// requests is how many it makes, if not one.
	requests int
}

func minted(w *world, id onetime.ID) { w.mint(id) }

func spent(w *world, id onetime.ID) {
	w.mint(id)
	_, err := w.Claim(w.t.Context(), limit, id, onetime.Used, claim(onetime.Used, "first").Marshal())
	w.must(err)
}

func started(w *world, id onetime.ID) {
	w.mint(id)
	w.must(w.WriteParts(w.t.Context(), limit, id, []byte("parts")))
}

func invited(w *world, id onetime.ID) {
	w.must(w.CreateInvitation(w.t.Context(), limit, invite.ID(id), []byte("before")))
	w.must(w.CreateSlot(w.t.Context(), limit, invite.ID(id), 7, []byte("before")))
}

func keyed(w *world, id onetime.ID) {
	w.must(w.CreateKey(w.t.Context(), limit, string(id), []byte("before")))
}

func nothing(*world, onetime.ID) {}

// uploadOf is an upload's key that follows from the id.
func uploadOf(id onetime.ID) string { return "uploads/" + string(id[:32]) }

var operations = []operation{
	{"WriteValid", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.WriteValid(ctx, limit, id, entry().Marshal())
		return err
	}, 1},
	{"WriteAtOnce", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.WriteAtOnce(ctx, limit, id, entry().Marshal(), claim(onetime.Used, "first").Marshal(), []byte("parts"))
	}, 1},
	{"ReadValid", minted, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, _, err := x.ReadValid(ctx, limit, id)
		return err
	}, 1},
	{"HeadExpired", spent, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.HeadExpired(ctx, limit, id)
		return err
	}, 1},
	{"ReadExpired", spent, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, _, err := x.ReadExpired(ctx, limit, id)
		return err
	}, 1},
	{"ListExpired", spent, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ListExpired(ctx, limit, id)
		return err
	}, 1},
	{"Spend", minted, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		unmet := terms()
		unmet.SHA256, unmet.Tags, unmet.Type = false, false, "" // only such a request names sha, tagged and sole
		spent, err := x.Spend(ctx, limit, id, claim(onetime.Used, "first"), unmet)
		if err == nil && spent.Claimed {
			err = errors.New("the entry's demands were not met")
		}
		if err == nil {
			spent, err = x.Spend(ctx, limit, id, claim(onetime.Used, "first"), terms())
		}
		if err == nil && !spent.Claimed {
			err = errors.New("the entry's demands were met")
		}
		return err
	}, 2},
	{"Claim", minted, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.Claim(ctx, limit, id, onetime.Used, claim(onetime.Used, "first").Marshal())
		return err
	}, 1},
	{"DeleteExpired", spent, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.DeleteExpired(ctx, limit, id, claim(onetime.Used, "first").Nonce)
	}, 1},
	{"WriteParts", minted, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.WriteParts(ctx, limit, id, []byte("parts"))
	}, 1},
	{"ReadParts", started, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ReadParts(ctx, limit, id)
		return err
	}, 1},
	{"ListPartsEntry", started, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ListPartsEntry(ctx, limit, id)
		return err
	}, 1},
	{"DeletePartsEntry", started, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.DeletePartsEntry(ctx, limit, id, "parts")
	}, 1},
	{"ListEntries", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ListEntries(ctx, limit, onetime.ValidEntries, "")
		if err == nil {
			_, err = x.ListEntries(ctx, limit, onetime.ExpiredEntries, string(id))
		}
		return err
	}, 2},
	{"WriteUpload", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.WriteUpload(ctx, limit, uploadOf(id), []byte("upload"))
	}, 1},
	{"ReadUpload", func(w *world, id onetime.ID) {
		w.must(w.WriteUpload(w.t.Context(), limit, uploadOf(id), []byte("upload")))
	},
		func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
			_, err := x.ReadUpload(ctx, limit, uploadOf(id))
			return err
		}, 1},
	{"ReadKey", keyed, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ReadKey(ctx, limit, string(id))
		return err
	}, 1},
	{"CreateKey", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.CreateKey(ctx, limit, string(id), []byte("key"))
	}, 1},
	{"ReplaceKey", keyed, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.ReplaceKey(ctx, limit, string(id), []byte("key"))
	}, 1},
	{"ListKeys", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, _ onetime.ID) error {
		_, err := x.ListKeys(ctx, limit)
		return err
	}, 16},
	{"AddMinted", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.AddMinted(ctx, limit, string(id), 1, 2, time.Now().Add(time.Hour))
		return err
	}, 1},
	{"ReadInvitation", invited, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, _, err := x.ReadInvitation(ctx, limit, invite.ID(id))
		return err
	}, 1},
	{"CreateInvitation", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.CreateInvitation(ctx, limit, invite.ID(id), []byte("record"))
	}, 1},
	{"ReplaceInvitation", invited, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.ReplaceInvitation(ctx, limit, invite.ID(id), "before", []byte("record"))
	}, 1},
	{"ListInvitations", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, _, err := x.ListInvitations(ctx, limit, string(id))
		return err
	}, 1},
	{"ReadSlot", invited, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, _, err := x.ReadSlot(ctx, limit, invite.ID(id), 7)
		return err
	}, 1},
	{"CreateSlot", nothing, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.CreateSlot(ctx, limit, invite.ID(id), 7, []byte("slot"))
	}, 1},
	{"ReplaceSlot", invited, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		return x.ReplaceSlot(ctx, limit, invite.ID(id), 7, "before", []byte("slot"))
	}, 1},
	{"ListSlots", invited, func(x *dynamo.Index, ctx context.Context, limit time.Duration, id onetime.ID) error {
		_, err := x.ListSlots(ctx, limit, invite.ID(id))
		return err
	}, 1},
}

// documented is what the package's comment says of an operation's requests.
type documented struct{ request, partition, attributes string }

func readDocumented(t *testing.T) map[string]documented {
	t.Helper()
	source, err := os.ReadFile("dynamo.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]documented{}
	for line := range strings.Lines(string(source)) {
		text, isRow := strings.CutPrefix(line, "//\t")
		fields := strings.Fields(text)
		i := slices.IndexFunc(fields, func(f string) bool { return f == "GetItem" || f == "UpdateItem" || f == "Query" })
		if !isRow || i < 1 {
			continue
		}
		names, _, _ := strings.Cut(strings.Join(fields[:i], " "), ", with ReturnValues")
		attributes := slices.DeleteFunc(strings.FieldsFunc(strings.Join(fields[i+2:], " "), func(r rune) bool { return r == ' ' || r == ';' }),
			func(name string) bool { return name == "or" || name == "none" })
		slices.Sort(attributes)
		for name := range strings.SplitSeq(names, ", ") {
			name, _, partial := strings.Cut(name, "-")
			if partial {
				name += "Invitation"
			}
			all[name] = documented{fields[i], fields[i+1], strings.Join(attributes, " ")}
		}
	}
	return all
}

// TestRequests holds the package's comment to the requests that are made: how many, which, to
// which partitions, and the attributes that they name.
func TestRequests(t *testing.T) {
	want := readDocumented(t)
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			w, id := newWorld(t), newID(t, "")
			op.before(w, id)
			var err error
			calls := w.under(dynamoserver.Fault{}, func() { err = op.call(w.Index, t.Context(), limit, id) })
			if err != nil {
				t.Fatal(err)
			}
			if len(calls) != op.requests {
				t.Errorf("%d requests, want %d", len(calls), op.requests)
			}
			row := want[op.name]
			names := map[string]bool{}
			for _, call := range calls {
				if fits, _ := path.Match(row.partition, call.Partition); call.Operation != row.request || !fits {
					t.Errorf("%s of %s, want %s of %s", call.Operation, call.Partition, row.request, row.partition)
				}
				for _, name := range call.Names {
					names[name] = true
				}
			}
			delete(names, "p")
			delete(names, "k")
			if got := strings.Join(slices.Sorted(maps.Keys(names)), " "); got != row.attributes {
				t.Errorf("names %q, want %q", got, row.attributes)
			}
		})
	}
	if len(want) != len(operations) {
		t.Errorf("the comment has %d operations, and there are %d: %v", len(want), len(operations), slices.Sorted(maps.Keys(want)))
	}
}

// all is everything that the operations have written under this id.
func (w *world) all(id onetime.ID) string {
	w.t.Helper()
	first := string(id[:1])
	var all []string
	for _, partition := range []string{"url#" + first, "upload#" + first, "key#" + first, "invitation#" + first, "slots#" + string(id)} {
		page, err := w.table.Query(w.t.Context(), limit, dynamo.Query{Partition: partition, Max: 100})
		if err != nil || page.Status != 200 {
			w.t.Fatalf("Query = %d %s, %v", page.Status, page.Code, err)
		}
		for _, item := range page.Items {
			if k := item["k"].Text; k != string(id) && k != uploadOf(id)[len("uploads/"):] && partition != "slots#"+string(id) {
				continue
			}
			delete(item, "forget") // may be a second later
			delete(item, "valid")
			delete(item, "expires")
			delete(item, "claim")
			all = append(all, fmt.Sprint(item)) // in the order of the names
		}
	}
	return strings.Join(all, "\n")
}

// TestFaults: what goes wrong with a request is told as a Fault of the method, and nothing is
// made of it. It says whether to try again. Faults before the effect leave all as it was;
// after one whose answer was lost, all is as if it had been given.
func TestFaults(t *testing.T) {
	for _, fault := range []struct {
		name       string
		fault      dynamoserver.Fault
		limit      time.Duration
		status     int
		repeatable bool
	}{
		{"throttled", dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Throttled}, limit, 429, true},
		{"a fault of its own after the effect", dynamoserver.Fault{Kind: dynamoserver.Answer, Code: dynamoserver.Internal, Apply: true}, limit, 500, true},
		{"denied", dynamoserver.Fault{Kind: dynamoserver.Answer, Code: "AccessDeniedException"}, limit, 400, false},
		{"never came", dynamoserver.Fault{Kind: dynamoserver.Drop}, limit, 0, true},
		{"answer lost", dynamoserver.Fault{Kind: dynamoserver.Drop, Apply: true}, limit, 0, true},
		{"answer cut short", dynamoserver.Fault{Kind: dynamoserver.Truncate, Apply: true}, limit, 0, true},
		{"no answer in time", dynamoserver.Fault{Kind: dynamoserver.Hang}, 100 * time.Millisecond, 0, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			w := newWorld(t)
			for _, op := range operations {
				id := newID(t, op.name)
				op.before(w, id)
				before := w.all(id)
				var err error
				calls := w.under(fault.fault, func() { err = op.call(w.Index, t.Context(), fault.limit, id) })
				got, ok := errors.AsType[*onetime.Fault](err)
				switch {
				case !ok:
					t.Errorf("%s: %s, want a *Fault", op.name, describe(err))
					continue
				case got.Op != op.name || got.Status != fault.status || onetime.Repeatable(err) != fault.repeatable:
					t.Errorf("%s: %#v, want status %d", op.name, got, fault.status)
				case len(calls) != 1:
					t.Errorf("%s: %d requests, want 1", op.name, len(calls))
				}
				after := w.all(id)
				if !fault.fault.Apply {
					if after != before {
						t.Errorf("%s: %s became %s", op.name, before, after)
					}
					continue
				}
				good := newWorld(t)
				op.before(good, id)
				good.must(op.call(good.Index, t.Context(), limit, id))
				if op.name != "Spend" && after != good.all(id) {
					t.Errorf("%s: %s is there, want %s", op.name, after, good.all(id))
				}
			}
		})
	}
}
