import ControlPanel
import DesktopModel

/// The administrators' part as OpenAPI 3.1 describes it: made of the routes themselves, so that there is no address without its description.
/// - SeeAlso: spec.openapis.org, "OpenAPI Specification v3.1.0"
enum OpenAPI {
    static func document<Context>(of routes: [AdminRoute<Context>]) -> JSON {
        var paths: [String: [String: JSON]] = [:]
        for route in routes { paths["/api/v1/" + written(route.path), default: [:]][route.method.rawValue.lowercased()] = operation(route) }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Punnet", "version": "1",
                "description": "What administrators do. Sizes are bytes, durations seconds, times RFC 3339 in UTC; what is not known is absent.",
            ],
            "security": [["token": []]],
            "paths": .object(paths.mapValues { .object($0) }),
            "components": [
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer", "description": "Made in the panel's settings."]],
                "schemas": .object(schemas),
            ],
        ]
    }

    /// The same for people.
    static func operations<Context>(of routes: [AdminRoute<Context>]) -> [APIOperation] {
        routes.map { route in
            APIOperation(
                method: route.method.rawValue, path: "/api/v1/" + written(route.path), summary: route.summary,
                query: route.query.map { ("?" + $0.name, $0.meaning) } + (route.creates ? [("Idempotency-Key:", keyMeaning)] : []),
                body: route.body.map { fields(of: $0) } ?? [], status: route.answer.status,
                refusals: route.refusals)
        }
    }

    /// The fields of a schema, in the order of the alphabet; those that may be absent end with a question mark.
    private static func fields(of schema: String) -> [String] {
        guard case .object(let members)? = schemas[schema]?["properties"], case .array(let required)? = schemas[schema]?["required"] else { return [] }
        let mustBe = Set(required.compactMap { if case .string(let name) = $0 { name } else { nil } })
        return members.keys.sorted().map { mustBe.contains($0) ? $0 : $0 + "?" }
    }

    /// `labs/:name` as `labs/{name}`.
    private static func written(_ path: String) -> String {
        path.split(separator: "/").map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }.joined(separator: "/")
    }

    private static func operation<Context>(_ route: AdminRoute<Context>) -> JSON {
        var operation: [String: JSON] = ["summary": .string(route.summary)]
        let names = route.path.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
        // A session's number, an operation's mark, or a name.
        let isSession = route.path.hasPrefix("sessions/")
        let parameters: [JSON] =
            names.map { name in
                ["name": .string(name), "in": "path", "required": true, "schema": isSession ? integer(1...Int.max) : JSON.object(Self.name)]
            }
            + route.query.map { query in
                ["name": .string(query.name), "in": "query", "description": .string(query.meaning), "schema": schema(of: query.kind)]
            }
            + (route.creates ? [idempotencyKey] : [])
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        var refusals = Set(route.refusals).union([401, 403, 500, 503])
        if route.creates { refusals.formUnion([409, 422]) }
        if let body = route.body {
            operation["requestBody"] = ["required": true, "content": ["application/json": ["schema": reference(body)]]]
            refusals.formUnion([400, 413])
        }
        var responses: [String: JSON] = [String(route.answer.status): response(route.answer)]
        for status in refusals {
            responses[String(status)] = ["description": .string(refusalWords[status] ?? ""), "content": ["application/problem+json": ["schema": reference("Problem")]]]
        }
        operation["responses"] = .object(responses)
        return .object(operation)
    }

    private static func response(_ answer: RouteAnswer) -> JSON {
        if let type = answer.textType { return ["description": "Done", "content": [type: ["schema": ["type": "string"]]]] }
        guard let schema = answer.schema else { return ["description": "Done"] }
        var response: [String: JSON] = ["description": "Done", "content": ["application/json": ["schema": schema]]]
        if answer.isList {
            response["headers"] = [
                "Link": ["description": "Where the rest is, rel=\"next\" of RFC 8288; absent at the end", "schema": ["type": "string"]]
            ]
        }
        return .object(response)
    }

    private static func schema(of kind: RouteQuery.Kind) -> JSON {
        switch kind {
        case .text: ["type": "string", "minLength": 1, "maxLength": 200]
        case .name: .object(name)
        case .flag: truth
        case .number(let range): integer(range)
        case .word(let words): ["type": "string", "enum": .array(words.map { .string($0) })]
        }
    }

    private static let idempotencyKey: JSON = [
        "name": "Idempotency-Key", "in": "header", "schema": ["type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"],
        "description": .string(keyMeaning),
    ]
    private static let keyMeaning =
        "A key of your own by which this request is known when it is sent again: for a day it is answered as at first, and not done again"

    private static let refusalWords = [
        400: "The body cannot be read", 401: "The token is missing, not known, or over", 403: "The token may not do this", 404: "There is no such thing",
        409: "It is not possible now", 413: "The body is too large", 422: "A value is not possible", 500: "It failed", 503: "Not now",
    ]

    // MARK: Schemas

    static func reference(_ name: String) -> JSON { ["$ref": .string("#/components/schemas/\(name)")] }

    private static let name: [String: JSON] = ["type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"]
    /// What people name labs and seats.
    private static let ownName: JSON = ["type": "string", "pattern": "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"]
    private static let text: JSON = ["type": "string"]
    private static let truth: JSON = ["type": "boolean"]
    private static let moment: JSON = ["type": "string", "format": "date-time"]

    private static func integer(_ range: ClosedRange<Int>) -> JSON {
        var schema: [String: JSON] = ["type": "integer", "minimum": .number(range.lowerBound)]
        if range.upperBound < Int.max { schema["maximum"] = .number(range.upperBound) }
        return .object(schema)
    }

    private static let count = integer(0...Int.max)
    private static let whole: JSON = ["type": "integer"]

    private static func list(of items: JSON) -> JSON { ["type": "array", "items": items] }

    /// An object of these members; those that may be absent are named.
    private static func object(_ members: [String: JSON], optional: Set<String> = []) -> JSON {
        ["type": "object", "properties": .object(members), "required": .array(members.keys.filter { !optional.contains($0) }.sorted().map { .string($0) })]
    }

    private static let lab: [String: JSON] = [
        "name": text, "image": text, "vcpus": whole, "memory": whole, "size": whole, "leastReady": whole, "atOnce": whole, "graceSeconds": whole,
        "airingSeconds": whole, "afterSession": ["type": "string", "enum": ["claim-again", "shut-down"]], "longestSeconds": count, "idleSeconds": count,
        "warningSeconds": count, "internet": truth,
    ]

    static let schemas: [String: JSON] = [
        "Problem": object(
            [
                "type": text, "title": text, "status": whole, "detail": text, "field": text, "value": text, "remedy": text, "retryAfterSeconds": count,
            ], optional: ["field", "value", "remedy", "retryAfterSeconds"]),
        "Description": ["type": "object"],
        "Room": object([
            "labs": list(of: reference("Lab")), "memory": object(["total": count, "forDesktops": count, "promised": count]),
            "disk": object(["free": count, "total": count], optional: ["free", "total"]), "seatsPresent": count, "seats": count,
            "troubles": list(of: text),
        ], optional: ["memory"]),
        "Lab": object(
            lab.merging(["desktops": ["type": "object", "additionalProperties": count], "waiting": count]) { first, _ in first }),
        "LabDraft": object(
            lab.merging(["name": ownName, "image": .object(name)]) { $1 }, optional: ["leastReady", "atOnce", "airingSeconds", "longestSeconds", "idleSeconds", "warningSeconds", "internet"]
        ),
        "LabChange": object(lab.merging(["image": .object(name)]) { $1 }.filter { $0.key != "name" }, optional: Set(lab.keys)),
        "Image": object([
            "name": text, "image": text, "version": whole, "boot": ["type": "string", "enum": ["pv", "pvh"]], "user": text, "checksum": text,
            "diskSize": count, "minimumMemory": count, "hasGuest": truth, "sharesIdentity": truth, "notes": text, "added": moment, "labs": list(of: text),
            "desktops": count,
            "checkpoints": list(
                of: object(
                    [
                        "vcpus": whole, "memory": whole, "state": ["type": "string", "enum": ["making", "unproven", "proven", "failed"]], "cause": text,
                        "keptMemory": count,
                    ], optional: ["cause"])),
        ], optional: ["added"]),
        "ImageAdd": object(["folder": ["type": "string", "pattern": "^/", "maxLength": 4095]]),
        "ImageChange": object(["sharesIdentity": truth, "notes": text], optional: ["sharesIdentity", "notes"]),
        "Certificate": object(["names": text, "ends": moment, "fingerprint": text]),
        "CertificateGiven": object(["chain": text, "key": text]),
        "Operation": object(
            [
                "id": text, "kind": text, "subject": text, "began": moment,
                "state": ["type": "string", "enum": ["running", "done", "failed", "cancelled"]], "revision": count,
                "progress": object(["done": count, "total": count]), "problem": reference("Problem"), "result": reference("Image"),
            ], optional: ["progress", "problem", "result"]),
        "JournalEntry": object(
            ["id": count, "at": moment, "who": text, "origin": text, "action": text, "subject": text, "detail": text]),
        "Desktop": object(
            [
                "name": text, "lab": text,
                "state": ["type": "string", "enum": ["empty", "preparing", "ready", "leased", "retiring", "quarantined"]], "step": text,
                "session": whole, "generation": count, "vcpus": whole, "memory": whole, "hasOwnHardware": truth, "isSetAside": truth, "address": text, "since": moment,
                "explanation": text,
            ], optional: ["step", "session", "since", "explanation"]),
        "DesktopChange": object(["vcpus": whole, "memory": whole, "asLab": truth, "preview": truth], optional: ["vcpus", "memory", "asLab", "preview"]),
        "Consequences": object(["consequences": list(of: text)]),
        "DesktopExplanation": object(
            [
                "desktop": reference("Desktop"), "meaning": text, "present": text, "deadline": moment, "next": text, "nextAt": moment, "cause": text,
                "failure": object(
                    ["count": count, "generation": count, "step": text, "cause": text, "console": list(of: text)], optional: ["step"]),
                "remedies": list(of: text),
            ], optional: ["present", "deadline", "nextAt", "cause", "failure"]),
        "Seat": object(
            [
                "id": whole, "name": text, "lab": text, "enrolled": truth, "present": truth, "desktop": text, "blocked": truth,
                "place": reference("TablePlace"), "health": reference("SeatHealth"),
            ], optional: ["desktop", "place", "health"]),
        "SeatHealth": object(
            [
                "reported": moment, "model": text, "version": text, "uptimeSeconds": count, "millidegrees": whole, "memoryTotal": count,
                "memoryAvailable": count, "screenWidth": count, "screenHeight": count, "warnings": list(of: text),
            ],
            optional: [
                "model", "version", "uptimeSeconds", "millidegrees", "memoryTotal", "memoryAvailable", "screenWidth", "screenHeight",
            ]),
        "SeatChange": object(
            ["name": ownName, "lab": text, "blocked": truth, "place": reference("TablePlace")], optional: ["name", "lab", "blocked", "place"]),
        "TablePlace": object(["column": integer(TablePlace.columns), "row": integer(TablePlace.rows)]),
        "Join": object(["pin": text, "words": list(of: text), "model": text, "version": text, "address": text, "since": moment]),
        "SeatAdd": object(["name": ownName, "lab": .object(name)]),
        "SeatAdded": object(["word": text, "command": text, "expiresInSeconds": count]),
        "SeatOrder": object(
            ["order": ["type": "string", "enum": ["message", "identify", "restart", "shut-down"]], "text": text], optional: ["text"]),
        "Session": object(
            ["id": whole, "seat": text, "desktop": text, "began": moment, "ended": moment, "reason": text, "connected": truth],
            optional: ["ended", "reason"]),
    ]
}
