package main

import (
	"context"
	"io"

	"oncegate/internal/config"
)

const configHelp = `oncegate config [--config config.json]

Checks the settings and prints them with the defaults filled in. It is an error if a
field is unknown, given twice, of the wrong type or out of range.

    --config PATH  another settings file (config.json)
    --stub         print what the edge needs to know of it with "runtime": "regional"

Example: oncegate config --config staging.json
`

func runConfig(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("config")
	path := fs.String("config", "config.json", "")
	stub := fs.Bool("stub", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	c, err := config.Load(*path)
	if err != nil {
		return err
	}
	if *stub {
		return writeJSON(stdout, c.Stub())
	}
	_, err = stdout.Write(c.JSON())
	return err
}
