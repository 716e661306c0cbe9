"""What routerctl can be told, a room for each noun. Each says its verbs to the parser, in the order that --help has."""
