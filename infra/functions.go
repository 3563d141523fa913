package infra

import (
	"cmp"
	"runtime"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// Timeouts of the functions, in seconds.
const (
	rotateTimeout         = 300
	reconcileTimeout      = 840
	apiTimeout            = 25  // API Gateway gives up after 29
	notifyTimeout         = 120 // 20 for each message of a batch, and some to spare
	customResourceTimeout = 900 // CloudFormation waits no longer for an answer
)

const (
	memoryMB = 256
	logDays  = 365 // they say who called
)

// function is one Lambda function with its role and its log group.
type function struct {
	constructs.Construct
	name   string
	role   awsiam.CfnRole
	lambda awslambda.CfnFunction
	pinned awslambda.CfnVersion // of published code: what is called; else nil
	alias  awslambda.CfnAlias   // of pinned, for what can't change whom it calls

	policies int // managed ones, the most that are attached at once
}

// arn is what is called: the function, or its one version that was made of the published archive.
func (f *function) arn() *string {
	if f.pinned != nil {
		return f.pinned.Ref()
	}
	return f.lambda.AttrArn()
}

// triggered is how an event source names it: by its name, as ever, or the version's ARN.
func (f *function) triggered() *string {
	if f.pinned != nil {
		return f.arn()
	}
	return f.lambda.Ref()
}

// serviceToken is what CloudFormation calls for a custom resource. It refuses to change that, so a version, of which there is
// another one with each release, can't stand there: an alias does, which points at the version.
func (f *function) serviceToken() *string {
	if f.pinned == nil {
		return f.arn()
	}
	if f.alias == nil {
		f.alias = awslambda.NewCfnAlias(f.Construct, new("Deployed"), &awslambda.CfnAliasProps{
			FunctionName: f.lambda.Ref(), FunctionVersion: f.pinned.AttrVersion(), Name: new("deployed"),
			Description: new("Countersign: the version that CloudFormation asks"),
		})
	}
	return f.alias.Ref()
}

// anyVersion is the function under whatever version. While another one is deployed the old and the new one are called.
func (f *function) anyVersion() string {
	if f.pinned == nil {
		return *f.arn()
	}
	return *f.lambda.AttrArn() + ":*"
}

// letInvoke allows a service to call the function, for this source or this account.
func (f *function) letInvoke(id, service string, sourceARN, sourceAccount *string) awslambda.CfnPermission {
	p := &awslambda.CfnPermissionProps{
		Action: new("lambda:InvokeFunction"), FunctionName: f.arn(), Principal: &service, SourceAccount: sourceAccount,
	}
	if sourceARN != nil {
		p.SourceArn = sourceARN
	}
	return awslambda.NewCfnPermission(f.Construct, new("From"+id), p)
}

func (s *ServiceProviderAccess) functions() []*function {
	return []*function{s.rotate, s.reconcile, s.revoke, s.operate, s.confirm, s.notify}
}

func arnsOf(functions []*function) []string {
	var out []string
	for _, f := range functions {
		out = append(out, *f.role.AttrArn())
	}
	return out
}

// createFunctions makes the functions with what each may do beside the grants; permitFunctions says what on them.
func (s *ServiceProviderAccess) createFunctions() {
	bus, key, check := *s.bus.AttrArn(), *s.key.AttrArn(), *s.queues.check.AttrArn()
	announce := allow("Announce", "events:PutEvents").on(bus)
	receive := allow("Receive", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

	s.rotate = s.function("rotate", "rotates external IDs, step by step for Secrets Manager", rotateTimeout,
		announce, tagsOnly(writtenByRotate()...),
		allow("UseKey", "kms:Decrypt", "kms:GenerateDataKey").on(key).when("StringEquals", "kms:ViaService", viaSecretsManager))
	s.reconcile = s.function("reconcile", "brings every grant to what plan and secret say", reconcileTimeout,
		announce, tagsOnly(writtenByReconcile()...), receive.on(check), allow("Stack", "cloudformation:DescribeStacks", "cloudformation:UpdateTerminationProtection").on(stackID),
		allow("Writers", "cloudtrail:LookupEvents").on("*"), // of any resource, AWS knows no narrower one
		allow("UseKey", "kms:Decrypt").on(key).when("StringEquals", "kms:ViaService", viaSecretsManager))
	s.revoke = s.function("revoke", "takes access away", apiTimeout,
		announce, tagsOnly(writtenByRevoke()...), allow("Check", "sqs:SendMessage").on(check))
	s.operate = s.function("operate", "lists grants, starts and pauses rotations", apiTimeout,
		announce, tagsOnly(writtenByOperate()...))
	s.confirm = s.function("confirm", "hears that providers use their new external IDs", apiTimeout,
		announce, tagsOnly(writtenByConfirm()...), allow("Check", "sqs:SendMessage").on(check))
	s.notify = s.function("notify", "tells people and providers", notifyTimeout,
		append(s.mail(), announce, receive.on(*s.queues.notify.AttrArn()),
			allow("Later", "sqs:SendMessage", "sqs:ChangeMessageVisibility").on(*s.queues.notify.AttrArn()),
			allow("Dead", "sqs:SendMessage").on(*s.queues.dead.AttrArn()),
			marksOnly())...)

	if n := s.props.RevokeConcurrency; n > 0 {
		s.revoke.lambda.SetReservedConcurrentExecutions(new(float64(n)))
	}
	for _, caller := range []*function{s.reconcile, s.revoke, s.operate} { // RotateSecret asks for it
		policy := awsiam.NewCfnPolicy(caller.Construct, new("InvokeRotate"), &awsiam.CfnPolicyProps{
			PolicyName: new("InvokeRotate"), Roles: &[]*string{caller.role.Ref()},
			PolicyDocument: document(allow("InvokeRotate", "lambda:InvokeFunction").on(s.rotate.anyVersion())),
		})
		if caller == s.reconcile {
			s.permissions = append(s.permissions, policy)
		}
	}
	// Without a SourceArn, as AWS advises where one function rotates several secrets.
	s.permissions = append(s.permissions, s.rotate.letInvoke("SecretsManager", "secretsmanager.amazonaws.com", nil, text(account)))
}

// function makes one of the shard's functions.
func (s *ServiceProviderAccess) function(name, purpose string, timeout float64, may ...statement) *function {
	return newFunction(s.Construct, functionProps{
		name: name, called: s.name(name), purpose: purpose, timeout: timeout, code: s.props.Functions, architecture: s.props.Architecture, local: s.props.Local,
		environment: s.environment(name), version: s.stackVersion(),
	}, may...)
}

// functionProps say what is particular about a function.
type functionProps struct {
	name    string // of its folder below functions
	called  string // in the account
	purpose string
	timeout float64 // seconds

	code         Code
	architecture string // as Go calls it; empty: arm64
	local        bool
	environment  *map[string]*string
	version      string // of Countersign
}

// newFunction makes a function with Countersign's defaults: Go on provided.al2023, a role and a log group of its own, and the
// permissions that don't grow with the grants.
func newFunction(scope constructs.Construct, p functionProps, may ...statement) *function {
	f := &function{Construct: constructs.NewConstruct(scope, new(access.Logical(grant.Name(p.name)))), name: p.name}
	goarch, architecture := cmp.Or(p.architecture, "arm64"), "arm64"
	if p.local {
		goarch = runtime.GOARCH
	}
	if goarch == "amd64" {
		architecture = "x86_64"
	}

	logs := awslogs.NewCfnLogGroup(f.Construct, new("Logs"), &awslogs.CfnLogGroupProps{
		LogGroupName: new("/aws/lambda/" + p.called), RetentionInDays: new(float64(logDays)),
	})
	logs.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil) // its name is fixed: a kept one would stop the next deploy

	may = append([]statement{allow("Log", "logs:CreateLogStream", "logs:PutLogEvents").on(*logs.AttrArn())}, may...)
	f.role = awsiam.NewCfnRole(f.Construct, new("Role"), &awsiam.CfnRoleProps{
		Description:              new("Countersign: functions/" + p.name),
		AssumeRolePolicyDocument: document(allow("Lambda", "sts:AssumeRole").byService("lambda.amazonaws.com")),
		Policies: &[]any{&awsiam.CfnRole_PolicyProperty{
			PolicyName: new("Function"), PolicyDocument: document(may...),
		}},
	})

	code, note, sum := p.code.of(f.Construct, p.name, goarch)
	f.lambda = awslambda.NewCfnFunction(f.Construct, new("Function"), &awslambda.CfnFunctionProps{
		FunctionName:  &p.called,
		Description:   new("Countersign: " + p.purpose),
		Runtime:       new("provided.al2023"),
		Handler:       new("bootstrap"),
		Architectures: &[]*string{&architecture},
		MemorySize:    new(float64(memoryMB)),
		Timeout:       &p.timeout,
		Role:          f.role.AttrArn(),
		Code:          code,
		LoggingConfig: &awslambda.CfnFunction_LoggingConfigProperty{LogGroup: logs.Ref()},
		Environment:   &awslambda.CfnFunction_EnvironmentProperty{Variables: p.environment},
	})
	note(f.lambda)
	if sum != "" {
		// A version is a copy of code and configuration, so another of either needs another version. What calls the old one is
		// changed before CloudFormation deletes it.
		id := "Version" + hash(f.Construct, sum, architecture, p.timeout, memoryMB, p.purpose, p.environment)[:8]
		f.pinned = awslambda.NewCfnVersion(f.Construct, &id, &awslambda.CfnVersionProps{
			FunctionName: f.lambda.Ref(), CodeSha256: &sum, Description: new("Countersign " + p.version),
		})
	}
	return f
}

// IAM's budget of an account is unpublished; five writes a second is the plan. Rotations take four of them, so that there is
// always one for a revocation.
const (
	rotationWrites = 2 // of IAM, a rotation
	pace           = 4 // writes a second by rotations
	shortestSpread = 3 * time.Second
	longestSpread  = 200 * time.Second // setSecret waits it, and has rotateTimeout
)

// spread is over how long rotations write for the first time that AWS starts at the same moment: so long that those of all
// the account's grants keep to the pace.
func spread(grants int) time.Duration {
	return min(max(time.Duration(grants)*rotationWrites*time.Second/pace, shortestSpread), longestSpread)
}

// environment is the same for all functions, but for what only notify needs.
func (s *ServiceProviderAccess) environment(function string) *map[string]*string {
	settle := "15s"
	env := map[string]*string{}
	if s.props.Local {
		settle = "1s"
		env["COUNTERSIGN_RESTORE_MARGIN"] = new("4s")
	}
	env["COUNTERSIGN_GRANTS"] = new(s.props.Access.GrantsEnv(s.shard))
	env["COUNTERSIGN_ACCOUNT"] = text(account)
	env["COUNTERSIGN_BUS"] = s.bus.Ref()
	env["COUNTERSIGN_QUEUE"] = s.queues.check.Ref()
	env["COUNTERSIGN_DELIVERIES"] = s.queues.notify.Ref()
	env["COUNTERSIGN_DEAD"] = s.queues.dead.Ref()
	env["COUNTERSIGN_SETTLE"] = &settle
	env["COUNTERSIGN_SPREAD"] = new(spread(len(s.props.Access.Entries())).String())
	env["COUNTERSIGN_STACK"] = awscdk.Aws_STACK_ID()
	if s.props.Access.MeasuresAges() {
		env["COUNTERSIGN_AGES"] = new("measured")
	}
	env["COUNTERSIGN_STACK_VERSION"] = new(s.stackVersion())
	if function != "notify" {
		return &env
	}
	if s.asksForDigests() {
		env["COUNTERSIGN_TRAIL"] = new(s.trailGroup())
	}
	if from := s.props.Access.MailFrom; from != "" {
		env["COUNTERSIGN_MAIL_FROM"] = &from
	}
	if s.mailSet != nil {
		env["COUNTERSIGN_MAIL_SET"] = s.mailSet.Ref()
	}
	return &env
}
