package strictjson_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"oncegate/internal/lean/strictjson"
)

// plain is v as encoding/json gives it out, numbers as they are written. ok is false
// where a name is there twice, of which encoding/json keeps the last.
func plain(v strictjson.Value) (x any, ok bool) {
	switch v.Kind {
	case strictjson.Null:
		return nil, true
	case strictjson.Bool:
		b, _ := v.Bool()
		return b, true
	case strictjson.Number:
		return json.Number(v.Raw), true
	case strictjson.String:
		s, _ := v.Text()
		return s, true
	case strictjson.Array:
		all := make([]any, len(v.Members))
		for i, m := range v.Members {
			if all[i], ok = plain(m.Value); !ok {
				return nil, false
			}
		}
		return all, true
	}
	if _, twice := v.Twice(); twice {
		return nil, false
	}
	all := map[string]any{}
	for _, m := range v.Members {
		if all[m.Name], ok = plain(m.Value); !ok {
			return nil, false
		}
	}
	return all, true
}

func theirs(document string) (x any, err error) {
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	err = decoder.Decode(&x)
	return x, err
}

// FuzzParse holds Parse to encoding/json: what it takes means the same there, and what
// it refuses is refused there too, or is of the few things that the package names.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		``, ` `, `null`, `true`, `false`, `nul`, `truee`, `0`, `-0`, `01`, `-`, `1.`, `1.5e+3`, `1E9`, `.5`, `1e`, `9223372036854775808`,
		`""`, `"a\"b\\c\/d\b\f\n\r\tz"`, `"\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\u12G4"`, `"\x"`, "\"\x01\"", "\"\xff\"", `"`, `"\`, `"\u1`,
		`[]`, `[1,2]`, `[1,]`, `[,1]`, `[`, `{}`, `{"a":1}`, `{"a":1,}`, `{a:1}`, `{"a" : [ {"b":null} ] } `, `{"a":1,"a":2}`, `{"a"`, `{"a":`, `1 2`, `{} x`, "\ufeff{}",
		strings.Repeat("[", 70) + strings.Repeat("]", 70), `{"` + "é" + `":"` + "\u2028" + `"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, document string) {
		v, err := strictjson.Parse(document)
		if err != nil {
			depth := strings.Count(document, "[") + strings.Count(document, "{")
			if json.Valid([]byte(document)) && utf8.ValidString(document) && depth <= 64 && !strings.Contains(strings.ToLower(document), `\ud`) {
				t.Fatalf("%q is refused: %v", document, err)
			}
			return
		}
		want, err := theirs(document)
		if err != nil || !json.Valid([]byte(document)) {
			t.Fatalf("%q is taken; encoding/json says %v", document, err)
		}
		if got, ok := plain(v); ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %#v, want %#v", document, got, want)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(document)); err != nil || v.Compact() != compact.String() {
			t.Errorf("%s is compacted to %s, want %s", document, v.Compact(), &compact)
		}
		var n int64
		if v.Kind != strictjson.Number {
			return
		}
		err = json.Unmarshal([]byte(v.Raw), &n)
		if got, ok := v.Int(); ok != (err == nil) || ok && got != n {
			t.Errorf("%s as a whole number is %d, %t, want %d", v.Raw, got, ok, n)
		}
	})
}

// FuzzAppendString holds AppendString to encoding/json, byte for byte.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<a&b>", "é\u2028\u2029😀", "\xff\xc3", "a\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := string(strictjson.AppendString(nil, s)) + "\n"; got != want.String() {
			t.Errorf("%q is written %s, want %s", s, got, want.String())
		}
	})
}

func TestWriter(t *testing.T) {
	var w strictjson.Writer
	if got := string(new(strictjson.Writer).Bytes()); got != "{}" {
		t.Errorf("nothing is %s", got)
	}
	w.String("a", "")
	w.StringIf("b", "")
	w.StringIf("c", "x")
	w.Int("d", 0)
	w.IntIf("e", 0)
	w.IntIf("f", -7)
	w.Time("g", time.Date(2026, 3, 4, 5, 6, 7, 80e6, time.UTC))
	w.Object("h", func(w *strictjson.Writer) {
		w.Object("empty", func(*strictjson.Writer) {})
		w.String("brace", "{")
		w.Int("more", 1)
	})
	w.Bool("k", true)
	w.Strings("i", nil)
	w.Strings("j", []string{"x", `"`})
	w.Objects("l", 2, func(w *strictjson.Writer, i int) { w.IntIf("i", int64(i)) })
	const want = `{"a":"","c":"x","d":0,"f":-7,"g":"2026-03-04T05:06:07.08Z",` +
		`"h":{"empty":{},"brace":"{","more":1},"k":true,"i":[],"j":["x","\""],"l":[{},{"i":1}]}`
	if got := string(w.Bytes()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFields(t *testing.T) {
	read := func(document string) error {
		v, err := strictjson.Parse(document)
		if err != nil {
			t.Fatal(err)
		}
		f := strictjson.Of(v)
		f.Text("text")
		f.Int("int")
		f.Time("time")
		object := f.Object("object")
		object.Int("n")
		if err := object.Done(); err != nil {
			return err
		}
		return f.Done()
	}
	for _, good := range []string{`{}`, `{"text":"a","int":1,"time":"2026-03-04T05:06:07Z","object":{"n":2}}`, `{"object":{}}`} {
		if err := read(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		`[]`, `null`, `{"text":1}`, `{"text":null}`, `{"int":"1"}`, `{"int":1.0}`, `{"time":"yesterday"}`, `{"time":1}`, `{"time":"2026-03-04 05:06:07"}`,
		`{"object":1}`, `{"object":{"n":"x"}}`, `{"object":{"m":1}}`, `{"more":1}`, `{"int":1,"int":1}`, `{"Text":"a"}`,
	} {
		if err := read(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
