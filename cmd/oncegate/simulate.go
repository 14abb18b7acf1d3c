package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/simulate"
)

const simulateHelp = `oncegate simulate [flags]

Shows which runtime answers faster and costs less, for a bucket's Region and where the
viewers are. It plays uploads with published round trips between AWS Regions, the times
that S3, DynamoDB and Lambda are said to take, and measured CPU times. It is a model, not a
measurement: the differences mean more than the figures.

    --bucket REGION    where the bucket is (us-east-1)
    --viewers LIST     Regions near the viewers, with weights
                       (us-east-1=40,eu-west-1=40,ap-northeast-1=20)
    --index INDEX      where the index is: s3 or dynamodb (s3)
    --per-hour N       uploads per hour, from everywhere together (100)
    --uploads N        how many are played, 1 to 1000000 (20000)
    --edge-memory MB   memory of the functions at the edge (a deployment's default)
    --seed N           repeats a run (1)
    --json             print one JSON object

The waits are the viewer's for the two functions. The way to CloudFront and the upload
itself are left out: they are the same in both. USD is what Lambda and Lambda@Edge cost
for a million uploads.

Example: oncegate simulate --bucket eu-west-1 --viewers us-east-1=1,eu-west-1=3
`

func runSimulate(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("simulate")
	bucket := fs.String("bucket", "us-east-1", "")
	viewers := fs.String("viewers", "us-east-1=40,eu-west-1=40,ap-northeast-1=20", "")
	index := fs.String("index", config.IndexS3, "")
	perHour := fs.Float64("per-hour", 100, "")
	uploads := fs.Int("uploads", 20_000, "")
	defaults := config.Defaults().Deploy
	memory := fs.Int("edge-memory", defaults.Memory, "")
	seed := fs.Uint64("seed", 1, "")
	asJSON := fs.Bool("json", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *memory < 128 || *memory > 10240 {
		return usagef(fs, "--edge-memory is %d: allowed is 128 to 10240", *memory)
	}
	if *index != config.IndexS3 && *index != config.IndexDynamoDB {
		return usagef(fs, "--index is %q: allowed are %s and %s", *index, config.IndexS3, config.IndexDynamoDB)
	}
	load := simulate.Load{Bucket: *bucket, InTable: *index == config.IndexDynamoDB, PerHour: *perHour, Uploads: *uploads, Seed: *seed}
	for item := range strings.SplitSeq(*viewers, ",") {
		region, weight, given := strings.Cut(item, "=")
		v := simulate.Viewers{Region: strings.TrimSpace(region), Weight: 1}
		if given {
			var err error
			if v.Weight, err = strconv.ParseFloat(weight, 64); err != nil {
				return usagef(fs, "--viewers: %q is not a weight: allowed is REGION or REGION=NUMBER", weight)
			}
		}
		load.Viewers = append(load.Viewers, v)
	}
	model := simulate.DefaultModel(*memory, defaults.RegionalMemory)
	results := map[simulate.Runtime]simulate.Result{}
	for _, runtime := range []simulate.Runtime{simulate.Edge, simulate.Regional} {
		result, err := simulate.Run(load, model, runtime)
		if err != nil {
			return usagef(fs, "%w", err)
		}
		results[runtime] = result
	}
	if *asJSON {
		return writeJSON(stdout, map[string]any{"load": load, "model": model, "results": results})
	}
	return writeSimulation(stdout, load, results[simulate.Edge], results[simulate.Regional])
}

func writeSimulation(stdout io.Writer, load simulate.Load, edge, regional simulate.Result) error {
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, a, b simulate.Percentiles) {
		lower := simulate.Edge
		if b.P50 < a.P50 {
			lower = simulate.Regional
		}
		fmt.Fprintf(t, "%s\t%d / %d / %d\t%.0f %%\t%d / %d / %d\t%.0f %%\t%s\t\n", name,
			inMS(a.P50), inMS(a.P90), inMS(a.P99), 100*a.Cold, inMS(b.P50), inMS(b.P90), inMS(b.P99), 100*b.Cold, lower)
	}
	where := "bucket"
	if load.InTable {
		where = "bucket and table"
	}
	fmt.Fprintf(stdout, "%s in %s, %g uploads an hour, %d played; milliseconds p50 / p90 / p99\n\n", where, load.Bucket, load.PerHour, load.Uploads)
	fmt.Fprintf(t, "\t%s\tcold\t%s\tcold\tlower p50\t\n", simulate.Edge, simulate.Regional)
	row("mint", edge.Mint, regional.Mint)
	row("gate", edge.Gate, regional.Gate)
	for i, v := range load.Viewers {
		row("gate, "+v.Region, edge.GateOf[i], regional.GateOf[i])
	}
	fmt.Fprintf(t, "USD a million\t%.2f\t\t%.2f\t\t\t\n", edge.LambdaUSD, regional.LambdaUSD)
	return t.Flush()
}

func inMS(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
