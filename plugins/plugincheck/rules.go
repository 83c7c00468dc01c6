package plugincheck

// Rule is a kind of finding.
type Rule struct {
	// Name stands in findings, and in comments that allow one.
	Name string
	// Why is why it matters, Do what to do: a sentence each.
	Why, Do string
}

// The names of the rules.
const (
	ruleUnreadable     = "unreadable"
	ruleNeverRun       = "never-run"
	ruleNoProject      = "no-project"
	ruleName           = "name"
	ruleIdleScript     = "idle-script"
	ruleIdlePhase      = "idle-phase"
	ruleUnknownPhase   = "unknown-phase"
	ruleNoDestroy      = "no-destroy"
	ruleNoErrexit      = "no-errexit"
	ruleErrexitOff     = "errexit-off"
	ruleSwallowed      = "swallowed"
	ruleLostInLocal    = "lost-in-local"
	ruleLostInPipe     = "lost-in-pipe"
	ruleEval           = "eval-output"
	ruleEndless        = "endless-loop"
	ruleUnknownCommand = "unknown-command"
	ruleAbsentFile     = "absent-file"
	ruleUnset          = "unset-variable"
	ruleDie            = "die-line"
	ruleFixedPath      = "fixed-path"
	ruleSettings       = "settings"
	ruleStoreName      = "store-name"
	ruleStoreCollision = "store-collision"
	ruleNeverSaved     = "never-saved"
	ruleAllow          = "allow"
)

// Rules are all rules there are, in the order in which a plugin is best mended.
func Rules() []Rule {
	return []Rule{
		{ruleUnreadable, "A run refuses the plugin, or bash stops in the middle of it.",
			"Mend the file; bash -n FILE shows the same."},
		{ruleNeverRun, "Nothing executes it, here or upstream, and nobody notices.",
			"Give it the name that the contract has, or remove it."},
		{ruleNoProject, "The plan is made from the text of settings: a project that is not written out there has no row, and its scripts never run.",
			"Write register_project_for_upgrade NAME into settings, the name as it is."},
		{ruleName, "A run with this name is refused.",
			"Choose another name, or enable only one of the two plugins."},
		{ruleIdleScript, "The phase is reported as not checked, never as passed.",
			"Write the script; shutdown.sh ends with ensure_services_stopped, upgrade.sh with ensure_services_started."},
		{ruleIdlePhase, "A phase that does nothing is reported as not checked: nothing says that what was there survives the upgrade.",
			"Check a side effect that users have, and what is left of it while the services are down (a process, a file, an address that answers)."},
		{ruleUnknownPhase, "resources.sh is only ever called with early_create, create, verify, verify_noapi and destroy; for another word nothing happens.",
			"Spell it as the contract does."},
		{ruleNoDestroy, "What create has made stays: the row leaks is red, and the next run may find the names taken.",
			"Delete all that create made, in destroy; deleting what is gone already must be no error."},
		{ruleNoErrexit, "Without errexit a script goes on after a failure, and its exit code is that of its last command alone.",
			"Put set -o errexit before the first command that can fail; sourcing functions does not do it."},
		{ruleErrexitOff, "From here on failures are lost: the phase passes whatever happens.",
			"Switch errexit on again after the one command that may fail, or test that command's exit code."},
		{ruleSwallowed, "Every failure of this command counts as success, also the one that the phase is there to find.",
			"Ask whether there is something to do before doing it; or look at the exit code and let only the expected one pass."},
		{ruleLostInLocal, "The exit code is that of local (or export, declare), which is 0: a failure does not end the script, and the value is empty.",
			"Declare first and assign in a line of its own: local x; x=$(…)."},
		{ruleLostInPipe, "The exit code of a pipeline is its last command's: what fails before it is not seen.",
			"Assign the output first and filter it in a second step, or set -o pipefail."},
		{ruleEval, "eval runs whatever a field of the answer holds, and a failed command inside $(…) does not end the script: old values stay.",
			"Ask for one value: id=$(openstack … -f value -c id)."},
		{ruleEndless, "When what it waits for never comes, the row hangs until its own limit, and nobody learns what was seen last.",
			"Count tries or compare $SECONDS, and die with the state that was seen last."},
		{ruleUnknownCommand, "Bash ends the script here with exit code 127, command not found; in a branch that is rarely taken nobody notices.",
			"Source the file that defines it, mend the name, or define it."},
		{ruleAbsentFile, "source fails, and with errexit ends the script.",
			"Source only what both releases' trees have, or ask for the file first; -tree names the tree that you mean."},
		{ruleUnset, "Without set -o nounset bash takes it for empty, and says nothing: a test of it always goes one way, a path begins at the root.",
			"Set it, or mend its name."},
		{ruleDie, "die takes the line first: this message is printed in its place, or with a line that is empty.",
			"die $LINENO \"message\""},
		{ruleFixedPath, "STACK_ROOT may be elsewhere, and both releases' directories are settings.",
			"Use $BASE_RELEASE_DIR, $TARGET_RELEASE_DIR, $BASE_DEVSTACK_DIR, $TARGET_DEVSTACK_DIR, or what lies beside the script."},
		{ruleSettings, "All settings run in one bash, one after the other: what one file does to it, the others find.",
			"Only register and set; leave options, the directory and the end of the shell alone."},
		{ruleStoreName, "resource_save refuses such a name.",
			"Use letters, digits, dots and underscores."},
		{ruleStoreCollision, "The store is shared by all plugins: the second save replaces the first, and one of the two checks something that is not its own.",
			"Save under the name of your own project."},
		{ruleNeverSaved, "resource_get of a key that was never saved prints nothing and returns 0: what is done with it is done with nothing.",
			"Save the key in create, or mend its name."},
		{ruleAllow, "An exception says for which rule it is, and why.",
			"# plugin-check: allow RULE: reason"},
	}
}

// RuleByName returns the rule of that name; known is false when there is none.
func RuleByName(name string) (rule Rule, known bool) {
	for _, rule := range Rules() {
		if rule.Name == name {
			return rule, true
		}
	}
	return Rule{}, false
}
