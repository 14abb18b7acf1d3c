package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/onetime"
)

// on runs oncegate dev with these settings on what earlier runs have left in data, and calls
// do with the deployment's URL and the file of the settings.
func on(t *testing.T, data string, settings map[string]any, do func(base, conf string)) {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	template := testbed.Assembly(t, settings, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, ended := newSyncBuffer(), make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"dev", "--template", template, "--data", data, "--port", "0", "--s3-port", "0"}, stdout, newSyncBuffer())
	}()
	stdout.waitFor(t, "Ctrl-C stops everything.\n", ended)
	clearAWS(t)
	env := readEnv(t, envPath(data))
	for name, value := range env {
		t.Setenv(name, value)
	}
	do(env["ONCEGATE_URL"], settingsFile(t, string(text)))
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// TestMigrate: what was minted, spent, revoked and put into keys with the index in the bucket is
// the same in the table, after migrate; and gates of the bucket refuse it from then on.
func TestMigrate(t *testing.T) {
	t.Chdir(root)
	data := filepath.Join(t.TempDir(), "dev")
	inBucket, inTable := map[string]any{"bucket": "bucket-of-the-test"}, map[string]any{"bucket": "bucket-of-the-test", "index": "dynamodb"}
	var good, late, spent, revoked string // paths and queries
	on(t, data, inBucket, func(base, conf string) {
		mint := func() string { return strings.TrimPrefix(request(t, "GET", base+"/url", 200), base) }
		good, late, spent, revoked = mint(), mint(), mint(), mint()
		request(t, "PUT", base+spent, 200)
		says(t, "revoked", "revoke", base+revoked)
		says(t, "ogk_", "key", "create", "--label", "app")
		says(t, "ogk_", "key", "create", "--label", "old")
		says(t, "is revoked", "key", "revoke", "old")
		says(t, "#ogi_", "invite", "--config", conf, "--label", "Acme", "--uploads", "1", base)

		// Who moves before the deploy would take the URLs from gates that are at work.
		var out, notes strings.Builder
		if err := run(t.Context(), []string{"key", "create", "--label", "x", "--per-day", "5"}, &out, &notes); err == nil || !strings.Contains(err.Error(), "--per-day: the index in the bucket cannot count") {
			t.Errorf("a number that S3 cannot count: %v", err)
		}
		if err := run(t.Context(), []string{"migrate", "--config", conf, "--to", "dynamodb"}, &out, &notes); err == nil || !strings.Contains(err.Error(), "the settings name the index s3") {
			t.Errorf("migrate before the deploy: %v", err)
		}
		if err := run(t.Context(), []string{"migrate", "--config", conf, "--to", "s3"}, &out, &notes); err == nil || !strings.Contains(err.Error(), "only one is set") {
			t.Errorf("migrate without a table: %v", err)
		}
	})
	on(t, data, inTable, func(base, conf string) {
		request(t, "PUT", base+good, 403)                                                                                                       // not known yet
		all := []string{"URLs         2 good, 2 spent, 0 over, 0 unknown; new: 4\n", "keys         2; new: 2\n", "2 are open in the old index"} // one of them is oncegate dev's own
		for _, dry := range []bool{true, false} {
			args := []string{"migrate", "--config", conf, "--to", "dynamodb"}
			if dry {
				args = append(args, "--dry-run")
			}
			out := says(t, all[0], args...)
			if !strings.Contains(out, all[1]) || !strings.Contains(out, all[2]) || strings.Contains(out, "nothing was changed") != dry {
				t.Errorf("migrate prints\n%s", out)
			}
			if dry {
				request(t, "PUT", base+good, 403)
			}
		}
		says(t, `"good":2,"spent":2,"stays":0,"over":0,"unknown":0,"new":0,"failed":0,"keys":2,"newKeys":0,"failedKeys":0,"openInvitations":2`,
			"migrate", "--config", conf, "--to", "dynamodb", "--json")
		request(t, "PUT", base+good, 200)
		for _, url := range []string{good, spent, revoked} {
			request(t, "PUT", base+url, 403)
		}
		says(t, "used", "status", base+spent)
		says(t, "revoked", "status", base+revoked)
		says(t, `"revoked":"20`, "key", "list", "--json")

		// A key that is revoked in the old index after it was copied is revoked by the next run.
		t.Setenv("ONCEGATE_INDEX", "s3")
		says(t, "is revoked", "key", "revoke", "app")
		t.Setenv("ONCEGATE_INDEX", "dynamodb")
		says(t, "keys         2; new: 1\n", "migrate", "--config", conf, "--to", "dynamodb")

		// What cannot be moved stops nothing else, and the exit status says that it is there. So
		// does the interrupt of a run.
		t.Setenv("ONCEGATE_INDEX", "s3")
		_, old, err := openSite(t.Context(), "", io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		spoilt := onetime.Fingerprint("/spoilt", "")
		_, err = old.index.WriteValid(t.Context(), requestLimit, spoilt, []byte(`{"version":2}`))
		if err := errors.Join(err, old.index.CreateKey(t.Context(), requestLimit, string(spoilt), []byte(`{"version":2}`))); err != nil {
			t.Fatal(err)
		}
		t.Setenv("ONCEGATE_INDEX", "dynamodb")
		var out, notes strings.Builder
		args := []string{"migrate", "--config", conf, "--to", "dynamodb"}
		err = run(t.Context(), args, &out, &notes)
		if exitStatus(err) != 1 || !strings.Contains(out.String(), "2 good, 2 spent, 0 over, 0 unknown, 1 failed; new: 0\nkeys         3, 1 failed; new: 0\n") ||
			!strings.Contains(notes.String(), "oncegate: "+string(spoilt)+": valid entry: ") || !strings.Contains(notes.String(), "keys/"+string(spoilt)) {
			t.Errorf("migrate with what is spoilt: %v\n%s\n%s", err, &out, &notes)
		}
		interrupted, stop := context.WithCancel(t.Context())
		stop()
		if err := run(interrupted, args, io.Discard, io.Discard); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "run it again") {
			t.Errorf("migrate that is interrupted: %v", err)
		}

		// Back again, as after a rollback: what came from there stays, what was minted here goes.
		minted := strings.TrimPrefix(request(t, "GET", base+"/url", 200), base)
		t.Setenv("ONCEGATE_INDEX", "s3")
		back := settingsFile(t, `{"bucket":"bucket-of-the-test"}`)
		says(t, "URLs         1 good, 3 spent, 0 over, 0 unknown, 1 stay; new: 1\n", "migrate", "--config", back, "--to", "s3")
		t.Setenv("ONCEGATE_INDEX", "dynamodb")
		request(t, "PUT", base+minted, 403)
		request(t, "PUT", base+late, 200)
		good = minted
	})
	on(t, data, inBucket, func(base, _ string) {
		request(t, "PUT", base+good, 200)
		for _, url := range []string{good, late, spent, revoked} {
			request(t, "PUT", base+url, 403)
		}
	})
}

// TestMigrateArguments: what it is to move to has to be said.
func TestMigrateArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"--to", "bucket"}, {"--to", "s3", "more"}} {
		var out, notes strings.Builder
		if err := run(t.Context(), append([]string{"migrate"}, args...), &out, &notes); exitStatus(err) != 2 {
			t.Errorf("migrate %v: %v", args, err)
		}
	}
}
