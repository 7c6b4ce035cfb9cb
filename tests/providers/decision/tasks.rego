package tasks

default allow := false

# Everybody can list and read.
allow if {
	reading := {"tools/list", "prompts/list", "resources/list", "resources/read"}
	reading[input.action.name]
}

allow if {
	input.action.name == "tools/call"
	input.resource.type == "tool"
	input.resource.id == "list_tasks"
}

# Operations creates tasks, and sets no high priority.
allow if {
	input.action.name == "tools/call"
	input.resource.type == "tool"
	input.resource.id == "create_task"
	input.subject.properties.issuer == "https://issuer.test/"
	input.subject.properties.claims.department == "ops"
	not high
}

high if {
	input.context.arguments.priority == "high"
}
