package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Surface is one place that people and programs read besides the secret and the trust policy, where no ID may stand.
type Surface struct{ Name, Text string }

// Surfaces collects every such place in the customer's account and in this run.
func (l *Lab) Surfaces(ctx context.Context) ([]Surface, error) {
	var all []Surface
	for name, collect := range map[string]func(context.Context) ([]Surface, error){
		"logs": l.logs, "stacks": l.stacks, "parameters": l.parameters, "tags": l.tags, "mails": l.mails,
		"queues": l.queues, "files": l.files, "archives": l.archives,
	} {
		found, err := collect(ctx)
		if err != nil {
			return nil, fmt.Errorf("collecting %s: %w", name, err)
		}
		all = append(all, found...)
	}
	for _, out := range l.Outputs() {
		if !strings.HasPrefix(out.Args, "reveal") && !strings.HasPrefix(out.Args, "trust apply") {
			all = append(all, Surface{"output of countersign " + out.Args, out.Stdout + "\n" + out.Stderr})
		}
	}
	return all, nil
}

// text is anything as JSON, which is what is searched.
func text(name string, v any) Surface {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Surface{name, fmt.Sprintf("%+v", v)}
	}
	return Surface{name, out.String()}
}

// logs is every event of every log group.
func (l *Lab) logs(ctx context.Context) ([]Surface, error) {
	client := cloudwatchlogs.NewFromConfig(l.Owner(Customer))
	var out []Surface
	groups := cloudwatchlogs.NewDescribeLogGroupsPaginator(client, &cloudwatchlogs.DescribeLogGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, group := range page.LogGroups {
			lines, err := l.LogLines(ctx, *group.LogGroupName)
			if err != nil {
				return nil, err
			}
			out = append(out, Surface{"log group " + *group.LogGroupName, strings.Join(lines, "\n")})
		}
	}
	return out, nil
}

// LogLines are the messages of one log group; none if there is no such group.
func (l *Lab) LogLines(ctx context.Context, group string) ([]string, error) {
	events := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(l.Owner(Customer)),
		&cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	var out []string
	for events.HasMorePages() {
		page, err := events.NextPage(ctx)
		if err != nil {
			if strings.Contains(err.Error(), "ResourceNotFoundException") {
				return nil, nil
			}
			return nil, err
		}
		for _, event := range page.Events {
			out = append(out, *event.Message)
		}
	}
	return out, nil
}

// stacks is templates, outputs, parameters, events and the functions' settings, as CloudFormation tells them.
func (l *Lab) stacks(ctx context.Context) ([]Surface, error) {
	client := cloudformation.NewFromConfig(l.Owner(Customer))
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{})
	if err != nil {
		return nil, err
	}
	out := []Surface{text("stacks", described.Stacks)}
	for _, stack := range described.Stacks {
		template, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: stack.StackName})
		if err != nil {
			return nil, err
		}
		events, err := client.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: stack.StackName})
		if err != nil {
			return nil, err
		}
		out = append(out, Surface{"template of " + *stack.StackName, *template.TemplateBody},
			text("events of "+*stack.StackName, events.StackEvents))
	}
	return out, nil
}

func (l *Lab) parameters(ctx context.Context) ([]Surface, error) {
	var out []Surface
	pages := ssm.NewGetParametersByPathPaginator(ssm.NewFromConfig(l.Owner(Customer)),
		&ssm.GetParametersByPathInput{Path: new("/"), Recursive: new(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Parameters {
			out = append(out, Surface{"parameter " + *p.Name, *p.Value})
		}
	}
	return out, nil
}

// tags is the tags and descriptions of roles and secrets.
func (l *Lab) tags(ctx context.Context) ([]Surface, error) {
	var out []Surface
	roles := iam.NewFromConfig(l.Owner(Customer))
	list, err := roles.ListRoles(ctx, &iam.ListRolesInput{})
	if err != nil {
		return nil, err
	}
	for _, role := range list.Roles {
		got, err := roles.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: role.RoleName})
		if err != nil {
			return nil, err
		}
		out = append(out, text("tags of role "+*role.RoleName, got.Tags))
	}
	secrets, err := secretsmanager.NewFromConfig(l.Owner(Customer)).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	if err != nil {
		return nil, err
	}
	for _, s := range secrets.SecretList {
		out = append(out, text("secret "+*s.Name+" without its value", s))
	}
	return out, nil
}

func (l *Lab) mails(ctx context.Context) ([]Surface, error) {
	mails, err := l.Mails(ctx)
	if err != nil {
		return nil, err
	}
	var out []Surface
	for i, m := range mails {
		out = append(out, text(fmt.Sprintf("mail %d", i+1), m))
	}
	return out, nil
}

// queues is every message that waits in a queue, dead letters included.
func (l *Lab) queues(ctx context.Context) ([]Surface, error) {
	var answer any
	if err := l.control(ctx, "GET", "/_ministack/sqs/messages", &answer); err != nil {
		return nil, err
	}
	return []Surface{text("messages in queues", answer)}, nil
}

// archives is every event that was said on a bus with an archive.
func (l *Lab) archives(ctx context.Context) ([]Surface, error) {
	var answer any
	if err := l.control(ctx, "GET", "/_countersign/archives", &answer); err != nil {
		return nil, err
	}
	return []Surface{text("archived events", answer)}, nil
}

// files is what this run wrote: the emulator's and CDK's logs, synthesised templates with their assets' lists.
func (l *Lab) files(context.Context) ([]Surface, error) {
	var out []Surface
	err := filepath.WalkDir(l.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that went away while we looked
		}
		ext := filepath.Ext(path)
		if entry.IsDir() || ext != ".log" && ext != ".json" && ext != ".yaml" {
			return nil
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		name, _ := filepath.Rel(l.Dir, path)
		out = append(out, Surface{"file " + name, string(body)})
		return nil
	})
	return out, err
}
