package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/foreign"
	"github.com/countersign/countersign/internal/visit"
)

// prompts are what goes into a shell's startup file, for prompts that show where one is in every shell. The shells that sudo
// opens have it already.
var prompts = map[string]string{
	"bash":       "PS1='$(countersign prompt --bracket)'\"$PS1\"\n",
	"zsh":        "setopt prompt_subst\nPROMPT='$(countersign prompt --bracket)'\"$PROMPT\"\n",
	"fish":       "functions --copy fish_prompt __own_prompt\nfunction fish_prompt\n  countersign prompt --bracket\n  __own_prompt\nend\n",
	"powershell": "$own = $function:prompt\nfunction prompt { \"$(countersign prompt --bracket)\" + (& $own) }\n",
	"starship":   "[custom.countersign]\ncommand = \"countersign prompt\"\nwhen = 'test -n \"$COUNTERSIGN_VISIT\"'\nstyle = \"bold white bg:red\"\nformat = \"[\\\\[$output\\\\]]($style) \"\n",
}

func newPromptCommand(c *cli) *cobra.Command {
	var bracket bool
	cmd := &cobra.Command{
		Use:   "prompt [SHELL]",
		Short: "Print where you are, for a prompt",
		Long: `Print where you are for a prompt: CUSTOMER, the customer, the account, the time
left; nothing elsewhere. It asks nobody, and prints nothing that a shell would
expand. The shells that sudo opens show it by themselves.

With a shell's name (bash, zsh, fish, powershell, or starship), print what to put
into its startup file.`,
		Example:   "countersign prompt\ncountersign prompt starship",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell", "starship"},
	}
	cmd.Flags().BoolVar(&bracket, "bracket", false, "in brackets, with a space behind")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			text, ok := prompts[args[0]]
			if !ok {
				return fail(exitInput, "bash, zsh, fish, powershell or starship", "no prompt for %.40q", args[0])
			}
			_, err := io.WriteString(c.stdout, text)
			return err
		}
		path := c.env(visit.Variable)
		if path == "" {
			return nil
		}
		line := "CUSTOMER ?"
		v, err := visit.Dir{Path: path}.Facts()
		if err == nil {
			line = foreign.Prompt(visit.Line(v, c.now()))
		}
		switch {
		case c.json:
			return writeJSON(c.stdout, struct {
				Line string `json:"line"`
			}{line})
		case bracket:
			line = "[" + line + "] "
		default:
			line += "\n"
		}
		_, err = io.WriteString(c.stdout, line)
		return err
	}
	return cmd
}
