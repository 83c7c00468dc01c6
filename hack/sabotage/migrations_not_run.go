package main

import (
	"context"
	"errors"
	"regexp"

	"grenade/hack/internal/harness"
)

// migrationsNotRun takes the online data migrations out of nova's upgrade.sh: the
// upgrade that forgot them.
func migrationsNotRun() sabotage {
	return sabotage{
		name:     "nova's online data migrations are not run",
		on:       compute(),
		expected: harness.Row{Phase: verifyPost, Project: nova},
		catcher:  byChecks,
		when:     started(create),
		act: func(_ context.Context, s scene) (string, error) {
			path, err := scriptOf(s.site, nova, "upgrade.sh")
			if err != nil {
				return "", err
			}
			found := false
			err = rewrite(path, func(script string) string {
				changed := onlineMigrations().ReplaceAllString(script, "echo '"+marker+" no online data migrations'")
				found = changed != script
				return changed
			})
			if err == nil && !found {
				err = errors.New("nova's upgrade.sh runs no online data migrations that could be left out")
			}
			return "taken out of " + path, err
		},
	}
}

// onlineMigrations matches the command that runs them.
func onlineMigrations() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^run_online_migrations .*$`)
}
