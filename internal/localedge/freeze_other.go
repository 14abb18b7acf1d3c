//go:build !unix

package localedge

import "os"

// Processes cannot be frozen here; they stay awake between invocations.

func freeze(*os.Process) error { return nil }

func thaw(*os.Process) error { return nil }
