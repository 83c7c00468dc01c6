package devstack

import (
	"os"

	"grenade/framework/config"
)

// environ is the environment of the trees' own scripts: small and the same everywhere, but for the proxies, without which
// some machines reach nothing. GIT_BASE is for stack.sh, as upstream gives it.
func environ(settings *config.Config) []string {
	env := []string{
		"HOME=" + settings.StackRoot, "USER=" + settings.StackUser, "LOGNAME=" + settings.StackUser, "SHELL=/bin/bash",
		"LANG=C.UTF-8", "TERM=dumb", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"GIT_BASE=" + settings.GitBase,
	}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
