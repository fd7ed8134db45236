"""The command `datlake`: one file per group of commands, each loaded when it is asked for."""
