package cfn

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Deployment is one deployment of oncegate, as its templates describe it.
type Deployment struct {
	// Shared says that the distribution is somebody else's, and holds behaviors and origins of
	// theirs.
	Shared       bool
	Bucket       Bucket
	Table        *Table               // of the signature index, nil if it is in the bucket
	Functions    map[string]*Function // at the edge, by function name
	Regional     map[string]*Function // in the bucket's Region, by function name
	Queues       map[string]*Queue    // by ARN
	Rules        []Rule               // of the event bus
	Roles        map[string]*Role     // by logical id
	Distribution Distribution
	WebACL       *WebACL
	// The distribution's policies, by the ids that behaviors use.
	OriginRequestPolicies   map[string]OriginRequestPolicy
	ResponseHeadersPolicies map[string]ResponseHeadersPolicy
	// OriginAccessControls, by the ids that origins use.
	OriginAccessControls map[string]OriginAccessControl
	// Monitoring are alarms, and where they and the functions write.
	Monitoring Monitoring
	// Outputs of all stacks. What only AWS knows is written ${LogicalID.Attribute}.
	Outputs map[string]string
	// Pins are the parameters of each stack, by its name, that no deploy may change.
	Pins map[string]map[string]Pin
	// AfterDistribution is what CloudFormation may make later than the distribution.
	AfterDistribution []Later
	// Others counts the resources that are not read, by type.
	Others map[string]int
}

// others are the types of resources that play no part in answering a request.
var others = []string{
	"AWS::CloudFront::MonitoringSubscription", "AWS::CloudWatch::Dashboard",
}

// Read reads the deployment in dir, which is a cdk.out. It fails if the templates hold
// anything that this package does not know. If dir holds more than the deployment, names are
// its stacks, and the one of the distribution that it shares.
func Read(dir string, names ...string) (*Deployment, error) {
	stacks, err := readAssembly(dir, names)
	if err != nil {
		return nil, err
	}
	d := &Deployment{
		Functions:               map[string]*Function{},
		Regional:                map[string]*Function{},
		Queues:                  map[string]*Queue{},
		Roles:                   map[string]*Role{},
		OriginRequestPolicies:   map[string]OriginRequestPolicy{},
		ResponseHeadersPolicies: map[string]ResponseHeadersPolicy{},
		OriginAccessControls:    map[string]OriginAccessControl{},
		Outputs:                 map[string]string{},
		Pins:                    map[string]map[string]Pin{},
		Others:                  map[string]int{},
	}
	r := reader{Deployment: d, versions: map[string]string{}, versionRemovals: map[string][]Removal{}, policies: map[string]BucketPolicy{}, queuePolicies: map[string]PolicyDocument{}}
	for _, s := range stacks {
		d.Pins[s.name] = s.pins
		for _, id := range slices.Sorted(maps.Keys(s.resources)) {
			if err := r.read(s, id); err != nil {
				return nil, err
			}
		}
		for name, value := range s.outputs {
			resolved, err := s.resolve(value)
			if err != nil {
				return nil, fmt.Errorf("output %s: %w", name, err)
			}
			d.Outputs[name] = fmt.Sprint(resolved)
		}
	}
	return d, r.link(len(names) > 0)
}

// reader also collects what can be joined only after everything is read.
type reader struct {
	*Deployment
	versions map[string]string // reference to a version -> function name
	// versionRemovals are of each function's versions.
	versionRemovals map[string][]Removal
	policies        map[string]BucketPolicy
	queuePolicies   map[string]PolicyDocument // by queue URL
	sources         []EventSource
	buckets         []Bucket
	distributions   int
}

func (r *reader) read(s stack, id string) error {
	ref := "${" + id + "}"
	resource := s.resources[id]
	switch resource.Type {
	case "AWS::S3::Bucket":
		b := Bucket{ID: id, Region: s.region, Removal: resource.removal()}
		if err := s.decode(id, &b.BucketProperties); err != nil {
			return err
		}
		r.buckets = append(r.buckets, b)
	case "AWS::S3::BucketPolicy":
		p := BucketPolicy{Removal: resource.removal()}
		if err := s.decode(id, &p.BucketPolicyProperties); err != nil {
			return err
		}
		if _, twice := r.policies[p.Bucket]; twice {
			return fmt.Errorf("bucket %s has two policies", p.Bucket)
		}
		r.policies[p.Bucket] = p
	case "AWS::DynamoDB::Table":
		if r.Table != nil {
			return fmt.Errorf("there are two tables, %s and %s", r.Table.ID, id)
		}
		r.Table = &Table{ID: id, Region: s.region, Removal: resource.removal(), After: s.after(id)}
		return s.decode(id, &r.Table.TableProperties)
	case "AWS::IAM::Role":
		role := &Role{ID: id}
		r.Roles[id] = role
		return s.decode(id, &role.RoleProperties)
	case "AWS::Lambda::Function":
		f := &Function{ID: id, Region: s.region}
		if err := s.decode(id, &f.FunctionProperties); err != nil {
			return err
		}
		f.Directory = s.directory(f.Code)
		if f.Runtime == RegionalRuntime {
			r.Regional[f.FunctionName] = f
		} else {
			r.Functions[f.FunctionName] = f
		}
	case "AWS::Lambda::EventSourceMapping":
		var e EventSource
		if err := s.decode(id, &e); err != nil {
			return err
		}
		r.sources = append(r.sources, e)
	case "AWS::Events::Rule":
		var rule Rule
		if err := s.decode(id, &rule); err != nil {
			return err
		}
		r.Rules = append(r.Rules, rule)
	case "AWS::SQS::Queue":
		q := &Queue{ID: id, Region: s.region, ARN: s.attribute(id, "Arn"), URL: s.ref(id)}
		r.Queues[q.ARN] = q
		return s.decode(id, &q.QueueProperties)
	case "AWS::SQS::QueuePolicy":
		var p struct {
			PolicyDocument PolicyDocument
			Queues         []string
		}
		if err := s.decode(id, &p); err != nil {
			return err
		}
		for _, url := range p.Queues {
			if _, twice := r.queuePolicies[url]; twice {
				return fmt.Errorf("queue %s has two policies", url)
			}
			r.queuePolicies[url] = p.PolicyDocument
		}
	case "AWS::Lambda::Version":
		var v struct{ FunctionName, Description string }
		if err := s.decode(id, &v); err != nil {
			return err
		}
		r.versions[ref] = v.FunctionName
		r.versionRemovals[v.FunctionName] = append(r.versionRemovals[v.FunctionName], resource.removal())
	case "AWS::CloudFront::OriginRequestPolicy":
		var p struct{ OriginRequestPolicyConfig OriginRequestPolicy }
		if err := s.decode(id, &p); err != nil {
			return err
		}
		r.OriginRequestPolicies[ref] = p.OriginRequestPolicyConfig
	case "AWS::CloudFront::ResponseHeadersPolicy":
		var p struct{ ResponseHeadersPolicyConfig ResponseHeadersPolicy }
		if err := s.decode(id, &p); err != nil {
			return err
		}
		r.ResponseHeadersPolicies[ref] = p.ResponseHeadersPolicyConfig
	case "AWS::CloudFront::Distribution":
		r.distributions++
		var p struct{ DistributionConfig DistributionConfig }
		if err := s.decode(id, &p); err != nil {
			return err
		}
		r.Distribution = Distribution{ID: id, DistributionConfig: p.DistributionConfig}
		r.AfterDistribution = s.after(id)
	case "AWS::CloudFront::OriginAccessControl":
		// It is harmless as long as no origin uses it. Package check sees to that.
		var p struct{ OriginAccessControlConfig OriginAccessControl }
		if err := s.decode(id, &p); err != nil {
			return err
		}
		r.OriginAccessControls["${"+id+".Id}"] = p.OriginAccessControlConfig
	case "AWS::WAFv2::WebACL":
		r.WebACL = &WebACL{ID: id}
		return s.decode(id, r.WebACL)
	default:
		if known, err := r.readMonitoring(s, id); known {
			return err
		}
		if !slices.Contains(others, resource.Type) {
			return fmt.Errorf("stack %s: resource %s has type %s, which is not understood", s.name, id, resource.Type)
		}
		r.Others[resource.Type]++
	}
	return nil
}

// link joins resources that refer to each other. Only some of an app's stacks can share their
// distribution with the rest.
func (r *reader) link(some bool) error {
	if r.distributions != 1 {
		return fmt.Errorf("%d distributions, want one", r.distributions)
	}
	// The bucket of the uploads is the one that the output BucketName names. Another
	// one can only be for access logs. Who shares a distribution gives it no outputs.
	bucket, own := r.Outputs["BucketName"]
	if r.Shared = some && !own; r.Shared {
		bucket = r.pinnedBucket()
	}
	found := false
	for _, b := range r.buckets {
		b.Policy = r.policies[b.BucketName]
		if b.BucketName != "" && b.BucketName == bucket {
			r.Bucket, found = b, true
		} else if logging := r.Distribution.Logging; !r.Shared && (logging == nil || !strings.Contains(logging.Bucket, b.ID+".")) {
			return fmt.Errorf("bucket %s is neither output BucketName nor for access logs", b.ID)
		}
	}
	if _, theirs := r.Outputs["BucketPolicy"]; !found && (theirs || r.Shared && bucket != "") {
		r.Bucket.BucketName, found = bucket, true // it is somewhere else
	}
	if !found {
		return errors.New("no bucket has the name in the output BucketName")
	}
	for _, f := range slices.Concat(slices.Collect(maps.Values(r.Functions)), slices.Collect(maps.Values(r.Regional))) {
		id := strings.TrimSuffix(strings.TrimPrefix(f.FunctionProperties.Role, "${"), ".Arn}")
		if f.Role = r.Roles[id]; f.Role == nil {
			return fmt.Errorf("function %s has role %q, which is not a role of the templates", f.FunctionName, f.FunctionProperties.Role)
		}
		if f.Directory == "" {
			return fmt.Errorf("function %s has code %q, which is not an asset of its stack", f.FunctionName, cmp.Or(f.Code.S3Key, f.Code.Directory))
		}
	}
	for name, f := range r.Functions {
		f.VersionRemovals = r.versionRemovals[name]
	}
	for _, q := range r.Queues {
		q.Policy = r.queuePolicies[q.URL]
	}
	for _, e := range r.sources {
		f := r.Regional[e.FunctionName]
		if f == nil || r.Queues[e.EventSourceArn] == nil {
			return fmt.Errorf("event source %q of function %q: want a queue and a regional function of the templates", e.EventSourceArn, e.FunctionName)
		}
		f.Sources = append(f.Sources, e)
	}
	for _, b := range r.Behaviors() {
		for i := range b.LambdaFunctionAssociations {
			a := &b.LambdaFunctionAssociations[i]
			if a.Function = r.Functions[r.versions[a.LambdaFunctionARN]]; a.Function == nil {
				return fmt.Errorf("behavior %s has function %q, which is not a published version of the templates", b.PathPattern, a.LambdaFunctionARN)
			}
		}
	}
	return nil
}

// pinnedBucket is the bucket that some stack says it began with.
func (d *Deployment) pinnedBucket() string {
	for _, stack := range slices.Sorted(maps.Keys(d.Pins)) {
		for name, pin := range d.Pins[stack] {
			if strings.Contains(name, "DeployedBucket") {
				return pin.Want
			}
		}
	}
	return ""
}

// Origins are those of the distribution, or of one that is shared those that lead to the
// bucket.
func (d *Deployment) Origins() []Origin {
	if !d.Shared {
		return d.Distribution.Origins
	}
	var ours []Origin
	for _, o := range d.Distribution.Origins {
		if strings.HasPrefix(o.DomainName, d.Bucket.BucketName+".s3.") {
			ours = append(ours, o)
		}
	}
	return ours
}

// Behaviors are those of the distribution, or of one that is shared those that lead to the
// bucket.
func (d *Deployment) Behaviors() []*Behavior {
	all := d.Distribution.Behaviors()
	if !d.Shared {
		return all
	}
	origins := d.Origins()
	return slices.DeleteFunc(all, func(b *Behavior) bool {
		return !slices.ContainsFunc(origins, func(o Origin) bool { return o.Id == b.TargetOriginId })
	})
}
