import Glibc

/// The target that $PUNNET_FUZZ_TARGET names.
private let target: FuzzTarget = {
    guard let name = getenv("PUNNET_FUZZ_TARGET").map({ String(cString: $0) }), let target = FuzzTarget(rawValue: name) else {
        print("PUNNET_FUZZ_TARGET must name one of: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
        exit(64)
    }
    return target
}()

/// Called by libFuzzer first. With $PUNNET_FUZZ_LIST set, prints each target with its longest input and its sources, and ends.
@_cdecl("LLVMFuzzerInitialize") public func initialize(_: UnsafeMutablePointer<CInt>, _: UnsafeMutableRawPointer) -> CInt {
    if getenv("PUNNET_FUZZ_LIST") != nil {
        for target in FuzzTarget.allCases { print(target.rawValue, target.maximumLength, target.sources.joined(separator: " ")) }
        exit(0)
    }
    _ = target
    return 0
}

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput") public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try target.check(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
        fatalError("\(target.rawValue): \(error)")
    }
    return 0
}
