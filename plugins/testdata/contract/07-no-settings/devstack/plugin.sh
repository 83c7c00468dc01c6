# A DevStack plugin that has nothing to upgrade.
