package dynamoserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// journal is a file with a line for every write, in order. A line is there whole before
// the write is answered, so what was ever answered outlives a crash.
type journal struct{ file *os.File }

// entry is one line: an item as it is after a write, or nothing but its key if it is gone.
type entry struct {
	Key  item `json:"key"`
	Item item `json:"item,omitempty"`
}

func (o Options) journalPath() string { return filepath.Join(o.Dir, o.Table+".jsonl") }

// readJournal returns the items as they are after the last line. The last line may be torn: its
// write was never answered.
func readJournal(o Options) ([]item, error) {
	text, err := os.ReadFile(o.journalPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items := map[string]item{}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for n, line := range lines[:len(lines)-1] {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d of %s cannot be read: remove the file, and with it the local table: %w", n+1, o.journalPath(), err)
		}
		key := e.Key.text(o.Partition) + "\x00" + e.Key.text(o.Sort)
		if items[key] = e.Item; e.Item == nil {
			delete(items, key)
		}
	}
	var all []item
	for _, key := range slices.Sorted(maps.Keys(items)) {
		all = append(all, items[key])
	}
	return all, nil
}

// startJournal replaces the journal by one that has each item once.
func startJournal(o Options, items []item) (*journal, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(o.Dir, ".new-*") // mode 0600
	if err != nil {
		return nil, err
	}
	j := &journal{f}
	var lines bytes.Buffer
	for _, i := range items {
		line, err := entry{item{o.Partition: i[o.Partition], o.Sort: i[o.Sort]}, i}.line()
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		lines.Write(line)
	}
	err = j.write(lines.Bytes())
	if err == nil {
		err = os.Rename(f.Name(), o.journalPath())
	}
	if err == nil {
		err = syncDir(o.Dir)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func (e entry) line() ([]byte, error) {
	text, err := json.Marshal(e)
	return append(text, '\n'), err
}

// append writes a line, and returns once it is on the disk.
func (j *journal) append(e entry) error {
	line, err := e.line()
	if err != nil {
		return err
	}
	return j.write(line)
}

func (j *journal) write(lines []byte) error {
	if _, err := j.file.Write(lines); err != nil {
		return err
	}
	return j.file.Sync()
}

func (j *journal) close() error { return j.file.Close() }

// syncDir has a new name in a directory outlive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
