package strictjson

import (
	"fmt"
	"time"
)

// Fields reads the members of an object one by one, each by name and type, and keeps
// the first error. It is for objects that oncegate itself wrote: Done refuses members
// that were not read, and members that occur twice.
type Fields struct {
	object Value
	taken  int
	err    error
}

// Of reads the members of v.
func Of(v Value) *Fields {
	f := &Fields{object: v}
	if v.Kind != Object {
		f.err = fmt.Errorf("want an object")
	} else if name, ok := v.Twice(); ok {
		f.err = fmt.Errorf("%q is there twice", name)
	}
	return f
}

// take returns the member, or false if there is none.
func (f *Fields) take(name string) (Value, bool) {
	v := f.object.Get(name)
	if v.Kind == Absent {
		return v, false
	}
	f.taken++
	return v, true
}

func (f *Fields) wrong(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%q: want %s", name, want)
	}
}

// Text is a string, "" where it is left out.
func (f *Fields) Text(name string) string {
	v, ok := f.take(name)
	s, isText := v.Text()
	if ok && !isText {
		f.wrong(name, "a string")
	}
	return s
}

// Int is a whole number, 0 where it is left out.
func (f *Fields) Int(name string) int64 {
	v, ok := f.take(name)
	n, isInt := v.Int()
	if ok && !isInt {
		f.wrong(name, "a whole number")
	}
	return n
}

// Time is a time as RFC 3339 has it, zero where it is left out.
func (f *Fields) Time(name string) (t time.Time) {
	v, ok := f.take(name)
	s, isText := v.Text()
	if ok && (!isText || t.UnmarshalText([]byte(s)) != nil) {
		f.wrong(name, "a time such as 2026-03-04T05:06:07Z")
		return time.Time{}
	}
	return t
}

// Object is the members of an object, none where it is left out.
func (f *Fields) Object(name string) *Fields {
	v, ok := f.take(name)
	if !ok {
		return Of(Value{Kind: Object})
	}
	if v.Kind != Object {
		f.wrong(name, "an object")
	}
	return Of(v)
}

// Done returns the first thing that was wrong with this object.
func (f *Fields) Done() error {
	if f.err == nil && f.taken != len(f.object.Members) {
		f.err = fmt.Errorf("there is a member that is not known")
	}
	return f.err
}
