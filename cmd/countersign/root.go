package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of --help, by who you are.
const (
	forCustomer = "customer"
	forOperator = "operator"
	forProvider = "provider"
	forReviewer = "reviewer"
	forAnyone   = "anyone"
)

func newRootCommand(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:   "countersign",
		Short: "Rotate, announce and revoke the external IDs by which third parties enter your AWS account",
		Long: `Countersign rotates the external ID by which a third party enters your AWS
account, tells them, and takes the access away on demand.

stdout is data, stderr is talk; --json works on every command.

` + exitCodeHelp,
		Example: `countersign init
countersign validate
countersign explain`,
		Args:                       unknownCommand,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print results and errors as JSON")
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddGroup(
		&cobra.Group{ID: forCustomer, Title: "you let a provider in"},
		&cobra.Group{ID: forOperator, Title: "you are on call for the account"},
		&cobra.Group{ID: forProvider, Title: "you enter customers' accounts"},
		&cobra.Group{ID: forReviewer, Title: "you review or audit"},
		&cobra.Group{ID: forAnyone, Title: "anyone"},
	)
	root.SetHelpCommandGroupID(forAnyone)
	root.SetCompletionCommandGroupID(forAnyone)
	in := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	in(forCustomer, newInitCommand(c), newValidateCommand(c), newPlanCommand(c), newAdoptCommand(c), newReleaseCommand(c))
	in(forOperator, newGrantsCommand(c), newShowCommand(c), newHistoryCommand(c), newRotateCommand(c), newConfirmCommand(c), newPauseCommand(c), newResumeCommand(c),
		newRevokeCommand(c), newRestoreCommand(c), newRevealCommand(c), newNotifyCommand(c), newDeliveriesCommand(c), newEventsCommand(c), newDoctorCommand(c))
	in(forProvider, newSudoCommand(c), newExecCommand(c), newConsoleCommand(c), newExportCommand(c), newCredentialProcessCommand(c), newWhoamiCommand(c), newListCommand(c),
		newCredsCommand(c), newProfilesCommand(c), newPromptCommand(c), newCustomersCommand(c), newVerifyCommand(c), newSandboxCommand(c), newTriggerCommand(c))
	in(forReviewer, newExplainCommand(c), newTrustCommand(c))
	in(forAnyone, newDemoCommand(c), newVersionCommand(c))
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Short = "Write a shell's completion script"
			continue
		}
		fitHelp(cmd)
	}
	return root
}

// unknownCommand refuses what is no command, and says which one was probably meant.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if names := root.SuggestionsFor(args[0]); len(names) > 0 {
		near = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return fmt.Errorf("unknown command %.60q%s", args[0], near)
}
