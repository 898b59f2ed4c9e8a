// swift-tools-version: 6.1
import PackageDescription

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let tls: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "punnet",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "punnetd", targets: ["punnetd"]),
        .executable(name: "punnet-relay", targets: ["punnet-relay"]),
        .executable(name: "punnet", targets: ["punnet"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CXenLight", pkgConfig: "xenlight", providers: [.apt(["libxen-dev"])]),
        .systemLibrary(name: "CXenStore", pkgConfig: "xenstore", providers: [.apt(["libxen-dev"])]),
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCrypt", pkgConfig: "libcrypt", providers: [.apt(["libcrypt-dev"])]),

        .target(name: "DesktopModel"),
        .target(name: "XenLight", dependencies: ["CXenLight", "CXenStore"]),
        .target(name: "Libvirt", dependencies: ["CLibvirt"]),
        .target(name: "Identity", dependencies: ["COpenSSL", "CCrypt"]),
        .target(name: "Hypervisor", dependencies: ["DesktopModel"]),
        .target(name: "SimulatedHypervisor", dependencies: ["Hypervisor", "Identity", tls, logging, lifecycle] + nio),
        .target(
            name: "XenHypervisor",
            dependencies: [
                "Hypervisor", "XenLight", "Libvirt", "Identity", logging, .product(name: "Subprocess", package: "swift-subprocess"),
            ]),
        .target(
            name: "DesktopStore", dependencies: ["DesktopModel", .product(name: "GRDB", package: "GRDB.swift")]),
        .target(
            name: "Broker",
            dependencies: [
                "DesktopModel", "Hypervisor", "DesktopStore", "Identity", "Relay", logging, lifecycle,
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        .target(name: "SystemdNotify"),
        .target(name: "Relay", dependencies: ["Identity"] + nio + [logging, lifecycle]),
        .target(name: "ControlAPI", dependencies: ["DesktopModel"]),
        .target(
            name: "ControlPanel",
            dependencies: ["Broker", "ControlAPI", "DesktopModel", "DesktopStore", "Identity", .product(name: "Mustache", package: "swift-mustache")], exclude: ["Files"]),
        .target(
            name: "ControlServer",
            dependencies: [
                "ControlAPI", "ControlPanel", "Broker", logging, lifecycle,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
            ]),
        .executableTarget(
            name: "punnetd",
            dependencies: [
                "Broker", "ControlAPI", "ControlServer", "XenHypervisor", "SimulatedHypervisor", "DesktopStore", "Identity", "Relay",
                "SystemdNotify", logging, lifecycle, arguments,
                .product(name: "Yams", package: "Yams"),
                .product(name: "Configuration", package: "swift-configuration"),
            ]),
        .executableTarget(name: "punnet-relay", dependencies: ["Relay", "SystemdNotify", logging, arguments] + nio),
        .executableTarget(
            name: "punnet",
            dependencies: ["ControlAPI", arguments, .product(name: "NIOHTTP1", package: "swift-nio")] + nio),
        .executableTarget(
            name: "punnet-bench",
            dependencies: [
                "Broker", "ControlAPI", "DesktopStore", "XenHypervisor", "Hypervisor", "HypervisorContract", "DesktopModel", "Identity", "Relay", tls, logging,
                arguments, .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ] + nio),
        .executableTarget(
            name: "punnet-model",
            dependencies: [
                "Broker", "CJobHook", "DesktopStore", "Hypervisor", "DesktopModel", "Identity", "Relay", logging, arguments,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/BrokerModel", exclude: ["Mutants"]),
        .systemLibrary(name: "CJobHook", path: "Tests/CJobHook"),
        .target(name: "HypervisorContract", dependencies: ["Hypervisor", "DesktopModel"], path: "Tests/HypervisorContract"),

        .testTarget(name: "DesktopModelTests", dependencies: ["DesktopModel"]),
        .testTarget(
            name: "SimulatedHypervisorTests",
            dependencies: [
                "SimulatedHypervisor", "Hypervisor", "DesktopModel", "Identity", "punnetd", "punnet-relay", "punnet", "punnet-bench", logging,
            ]),
        .testTarget(name: "HypervisorTests", dependencies: ["Hypervisor", "HypervisorContract", "DesktopModel"]),
        .testTarget(name: "IdentityTests", dependencies: ["Identity"]),
        .testTarget(
            name: "DesktopStoreTests", dependencies: ["DesktopStore", "DesktopModel", .product(name: "GRDB", package: "GRDB.swift")]),
        .testTarget(name: "XenLightTests", dependencies: ["XenLight", "CXenLight"]),
        .testTarget(name: "LibvirtTests", dependencies: ["Libvirt"]),
        .testTarget(
            name: "XenHypervisorTests",
            dependencies: ["XenHypervisor", "Hypervisor", "HypervisorContract", "DesktopModel", "Identity", "Libvirt", logging],
            exclude: ["guard-trial"]),
        .testTarget(name: "XenLabTests", dependencies: ["Hypervisor", "HypervisorContract"]),
        .testTarget(name: "BrokerTests", dependencies: ["Broker", "DesktopModel", "DesktopStore", "Hypervisor", "Identity", logging]),
        .testTarget(name: "ControlAPITests", dependencies: ["ControlAPI", "punnet"]),
        .testTarget(
            name: "ControlServerTests",
            dependencies: [
                "ControlServer", "ControlAPI", "ControlPanel", "Broker", "DesktopModel", "DesktopStore", "Hypervisor", "Identity", "punnet", logging,
                lifecycle, .product(name: "Subprocess", package: "swift-subprocess"),
            ]),
        .testTarget(name: "ControlPanelTests", dependencies: ["ControlPanel", "ControlServer", "ControlAPI", "Broker", "DesktopModel", "DesktopStore", "Hypervisor"]),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "Relay", "punnet-relay", "Identity", "COpenSSL", "ControlServer", "ControlAPI", .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio, exclude: ["Driver", "Corpus", "Crashes"]),
        .testTarget(name: "RelayTests", dependencies: ["Relay", "punnet-relay", "Identity", "SystemdNotify", logging, lifecycle, .product(name: "NIOEmbedded", package: "swift-nio")] + nio),
    ],
    swiftLanguageModes: [.v6]
)
