package main

const page = "edge/node/page.mjs"

// pageMutants are what the page's handler answers, and what templates must keep of it.
var pageMutants = []mutant{
	{page, "texts are not escaped", "text.replace(/[&<>\"']/g, (c) => `&#${c.charCodeAt(0)};`)", "text", false},
	{page, "a heading is not escaped", "`<h1>${escape(own.title)}</h1>`", "`<h1>${own.title}</h1>`", false},
	{page, "the title is not escaped", "title: escape(own.title ?? 'Send files')", "title: own.title ?? 'Send files'", false},
	{page, "a contact is not escaped", "`<span>${escape(text)}</span>`", "`<span>${text}</span>`", false},
	{page, "any contact is a link", "/^https:\\/\\//.test(text)", "/^\\w+:/.test(text)", false},
	{page, "the privacy link is not escaped", "href=\"${escape(own.privacyUrl)}\"", "href=\"${own.privacyUrl}\"", false},
	{page, "the logo is part of the document", "`<img class=\"logo\" alt=\"\" src=\"data:image/svg+xml;base64,${Buffer.from(own.logo).toString('base64')}\">`", "own.logo", false},
	{page, "any text is a colour", "/^#[0-9a-f]{6}$/i.test(own.accent) ? own.accent : '#2457c5'", "own.accent ?? '#2457c5'", false},
	{page, "words on the colour are always white", "1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ?", "true ?", false},
	{page, "styles of anybody", "'sha256-${hash('sha256', style, 'base64')}'", "'unsafe-inline'", false},
	{page, "scripts of anybody", "\"script-src 'self'\"", "\"script-src 'self' 'unsafe-inline'\"", false},
	{page, "what is not named is let in", "\"default-src 'none'\"", "\"default-src *\"", false},
	{page, "the page asks anybody", "\"connect-src 'self'\"", "\"connect-src *\"", false},
	{page, "anybody embeds", ": \"'none'\"}`,", ": '*'}`,", false},
	{page, "nobody embeds", "own.embedBy?.length ? own.embedBy.join(' ') :", "false ? '' :", false},
	{page, "a base elsewhere", "\"base-uri 'none'\",\n", removed, false},
	{page, "scripts from text", "\"require-trusted-types-for 'script'\",\n", removed, false},
	{page, "others are told where from", "'referrer-policy': 'no-referrer',", removed, false},
	{page, "types are guessed", "'x-content-type-options': 'nosniff',", removed, false},
	{page, "the page is kept", "'cache-control': 'no-cache'", "'cache-control': 'max-age=600'", false},
	{page, "any method", "method !== 'GET' && method !== 'HEAD'", "false", false},
	{page, "no HEAD", "method !== 'GET' && method !== 'HEAD'", "method !== 'GET'", false},
	{page, "HEAD has a body", "method === 'GET');", "true);", false},
	{page, "what every object has is a file", "Object.hasOwn(built.files, uri) ? built.files[uri] : undefined", "built.files[uri]", false},
	{page, "a page that is off is there", " || settings.page === false", removed, false},
	{page, "encodings that are refused", "!parameters.some((p) => /^q=0(\\.0*)?$/.test(p))", "true", false},
	{page, "brotli whatever is accepted", "takes('br') ? 'br'", "true ? 'br'", false},
	{page, "multipart, whatever the settings", "String(settings.multipart !== false)", "'true'", false},

	{checkLambda, "the page may do as the gate", "if f.Handler == pageHandler {\n\t\treturn lines\n\t}\n", removed, false},
	{checkFront, "no page is wanted", "if conf.Page.On {", "if false {", false},
	{checkFront, "a page that is off is wanted", "if conf.Page.On {", "if true {", false},
	{checkAlarms, "the page's log may stay for ever", "if conf.Page.On {", "if false {", false},
}
