//go:build !unix

package process

// Freeze does nothing here: processes stay awake between invocations.
func (p *Process) Freeze() error { return nil }

// Thaw has nothing to undo here.
func (p *Process) Thaw() error { return nil }
