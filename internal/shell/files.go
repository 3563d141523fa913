package shell

import "strings"

// red is how the prompt's line looks where colour is wanted; the words say the same without it.
const red = "1;97;41"

func fill(template string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(template)
}

func export(name, value string) string { return "export " + name + "=" + quoteShell(value) }

func (p Plan) bash() string {
	return fill(`# Written by countersign for this shell alone.
[ -r ~/.bashrc ] && . ~/.bashrc
for __countersign in "${!AWS_@}"; do
  case $__countersign in KEEP) ;; *) unset "$__countersign" ;; esac
done
unset __countersign
VARIABLES
__countersign_before=
__countersign_prompt() {
  local code=$? line
  line=$(PRINT 2>/dev/null) || line='CUSTOMER ?'
  PS1=${PS1#"$__countersign_before"}
  __countersign_before="[$line] "
  [ -n "$NO_COLOR" ] || __countersign_before="\[\e[REDm\][$line]\[\e[0m\] "
  PS1=$__countersign_before$PS1
  return $code
}
if [ "${BASH_VERSINFO[0]}" -gt 5 ] || [ "${BASH_VERSINFO[0]}" -eq 5 ] && [ "${BASH_VERSINFO[1]}" -ge 1 ]; then
  PROMPT_COMMAND+=(__countersign_prompt)
else
  PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND; }__countersign_prompt"
fi
`, "KEEP", p.keep("|"), "VARIABLES", strings.TrimSpace(p.each(export)), "PRINT", words(p.Prompt, quoteShell), "RED", red)
}

const zshenv = `# Written by countersign for this shell alone.
__countersign_zdotdir=$ZDOTDIR
if [[ -n $COUNTERSIGN_ZDOTDIR ]]; then ZDOTDIR=$COUNTERSIGN_ZDOTDIR; else unset ZDOTDIR; fi
unset COUNTERSIGN_ZDOTDIR
[[ -r ${ZDOTDIR:-$HOME}/.zshenv ]] && source "${ZDOTDIR:-$HOME}/.zshenv"
__countersign_own=$ZDOTDIR
ZDOTDIR=$__countersign_zdotdir
`

func (p Plan) zsh() string {
	return fill(`# Written by countersign for this shell alone.
if [[ -n $__countersign_own ]]; then ZDOTDIR=$__countersign_own; else unset ZDOTDIR; fi
[[ $HISTFILE == $__countersign_zdotdir/* ]] && HISTFILE=${ZDOTDIR:-$HOME}/${HISTFILE:t}
[[ -r ${ZDOTDIR:-$HOME}/.zshrc ]] && source "${ZDOTDIR:-$HOME}/.zshrc"
unset __countersign_own __countersign_zdotdir
for __countersign in ${(k)parameters[(I)AWS_*]}; do
  case $__countersign in KEEP) ;; *) unset $__countersign ;; esac
done
unset __countersign
VARIABLES
typeset -g __countersign_before=
__countersign_prompt() {
  local code=$? line
  line=$(PRINT 2>/dev/null) || line='CUSTOMER ?'
  PROMPT=${PROMPT#"$__countersign_before"}
  __countersign_before="[$line] "
  [[ -n $NO_COLOR ]] || __countersign_before=$'%{\e[REDm%}['"$line"$']%{\e[0m%} '
  PROMPT=$__countersign_before$PROMPT
  return $code
}
precmd_functions+=(__countersign_prompt)
`, "KEEP", p.keep("|"), "VARIABLES", strings.TrimSpace(p.each(export)), "PRINT", words(p.Prompt, quoteShell), "RED", red)
}

func (p Plan) fish() string {
	return fill(`# Written by countersign for this shell alone.
for __countersign in (set --names | string match 'AWS_*')
  switch $__countersign
    case KEEP
    case '*'
      set --erase --global $__countersign
      set --query $__countersign; and set --global --export $__countersign ''
  end
end
VARIABLES
functions --query fish_prompt; and functions --copy fish_prompt __countersign_own_prompt
function __countersign_status
  return $argv[1]
end
function fish_prompt
  set --local code $status
  set --local line (PRINT 2>/dev/null); or set line 'CUSTOMER ?'
  if test -n "$NO_COLOR"
    printf '[%s] ' "$line"
  else
    printf '\e[REDm[%s]\e[0m ' "$line"
  end
  __countersign_status $code
  if functions --query __countersign_own_prompt
    __countersign_own_prompt
  else
    printf '> '
  end
end
`, "KEEP", quoteFishes(p.keep(" ")), "VARIABLES", strings.TrimSpace(p.each(func(name, value string) string {
		return "set --global --export " + name + " " + quoteFish(value)
	})), "PRINT", words(p.Prompt, quoteFish), "RED", red)
}

// quoteFishes quotes patterns, which fish would expand as file names.
func quoteFishes(patterns string) string { return words(strings.Fields(patterns), quoteFish) }

func (p Plan) powershell() string {
	var patterns []string
	for pattern := range strings.FieldsSeq(p.keep(" ")) {
		patterns = append(patterns, quotePowerShell(pattern))
	}
	return fill(`# Written by countersign for this shell alone.
foreach ($v in Get-ChildItem Env:AWS_*) {
  $keep = $false
  foreach ($k in @(KEEP)) { if ($v.Name -like $k) { $keep = $true } }
  if (-not $keep) { Remove-Item "Env:$($v.Name)" }
}
VARIABLES
$global:__countersignOwn = $function:prompt
function global:prompt {
  $line = & PRINT 2>$null
  if (-not $?) { $line = 'CUSTOMER ?' }
  "[$line] " + (& $global:__countersignOwn)
}
`, "KEEP", strings.Join(patterns, ", "), "VARIABLES", strings.TrimSpace(p.each(func(name, value string) string {
		return "$env:" + name + " = " + quotePowerShell(value)
	})), "PRINT", words(p.Prompt, quotePowerShell))
}
