import DesktopModel

/// Why a step failed, or something on the server does: what failed, the value, what to do. What begins small is a part of something that is told.
enum Cause: String, Phrases {
    // MARK: What is done in a step
    case layingDisk = "laying its disk"
    case buildingDomain = "building its domain"
    case restoringMemory = "restoring its memory"
    case givingIdentity = "giving it an identity of its own"
    case lettingRun = "letting it run"
    case freezing = "freezing it as a checkpoint"
    case parking = "parking it"
    case airing = "letting it run for a moment"
    case removing = "removing it"

    // MARK: What failed in it
    case failed = "{0} failed: {1}"
    case failedLogged = "{0} failed: {1}. 'journalctl -u punnetd' has more"
    case xenAway = "{0} failed, since Xen cannot be reached: {1}"
    case changedFile = """
        the image's file '{0}' was changed since it was taken in: put the right one back, or take the image in anew with 'punnet image add' and \
        give it to the lab with 'punnet lab set'
        """
    case spoiltCheckpoint = """
        the checkpoint's file '{0}' is missing, or was changed since it was frozen: another checkpoint is made by itself, and until then desktops \
        are booted
        """
    case fullDisk = "the disk that holds '{0}' is full: free space on it, or make labs smaller with 'punnet lab set'"
    case noMemory = """
        Xen has no {0} of memory left for it: 'xl list' tells who has it; give desktops less memory or make labs smaller with 'punnet lab set'
        """
    case alreadyThere = "'{0}' is already there, and belongs to no generation that is known: remove it ('xl destroy' where it is a domain)"
    case endedByItself = "its domain ended by itself: what it wrote to its console last may tell why"
    case guestFailed = "its guest could not take its identity over: {0}. Docs/Guest.md tells what the image's package punnet-guest does"
    case noBlankOverlay = """
        the image's blank overlay '{0}' is missing: put it back, or take the image in anew with 'punnet image add' and give it to the lab with \
        'punnet lab set'
        """
    case noImageDisk = """
        the image's disk '{0}' is missing: put it back, or take the image in anew with 'punnet image add' and give it to the lab with \
        'punnet lab set'
        """
    case noKernel = """
        the image's kernel '{0}' is missing: put it back, or take the image in anew with 'punnet image add' and give it to the lab with \
        'punnet lab set'
        """
    case noRamdisk = """
        the image's ramdisk '{0}' is missing: put it back, or take the image in anew with 'punnet image add' and give it to the lab with \
        'punnet lab set'
        """
    case noOwnDisk = "its own disk '{0}' went missing: look for what removes files there"
    case noPackageFile = "'{0}' is missing: install the package punnet anew"
    case missing = "'{0}' is missing"
    case wentMissing = "'{0}' went missing while it was frozen: look for what removes files there"
    case otherCertificate = "RDP answered at {0} with another certificate than when it was made"
    case databaseFailed = "the database could not be written: {0}"

    // MARK: What took too long
    case slowDisk = "laying its disk took longer than {0}: the disk that holds it is slow, or does not answer"
    case slowDomain = "building its domain took longer than {0}: Xen or xenstored does not answer, or dom0 is short of time"
    case slowIdentity = """
        its guest did not say within {0} that it has taken its identity over: it does not boot, or the image has no working package punnet-guest. \
        What it wrote to its console last may tell why
        """
    case noAnswer = "RDP did not answer within {0}"
    case noAnswerWith = "RDP did not answer within {0}: {1}"
    case slowFreezing = """
        freezing it took longer than {0}: its guest does not let itself be suspended, or the disk that holds checkpoints is slow
        """
    case slowParking = "parking it took longer than {0}: Xen does not answer"
    case slowRemoval = "it is not gone after {0}: 'xl list' tells whether Xen still holds its domain"
    case slowHandOut = "Xen did not answer within {0}"
    case slowMeasure = "the server did not tell what it has within {0}"
    case longerThan = "it takes longer than {0}"

    // MARK: What ended by itself
    case shutDown = "it shut itself down"
    case crashed = "its guest crashed"
    case ended = "its domain was ended from outside"
    case beforeReady = "{0} before it was ready"

    // MARK: What is there instead of RDP
    case nothingThere = """
        nothing answers at {0}: it does not boot, or has no address (DHCP). Look at its console's last lines and, for the desktops' network, at \
        'virsh net-list --all'
        """
    case nothingListens = "it is up at {0}, but nothing listens on port {1}: its RDP server does not start"
    case notRDP = "something answers at {0} port {1}, but not as RDP over TLS: {2}"
    case fellSilent = "it said nothing more within {0}"
    case hungUp = "it ended the connection"
    case saidOtherwise = "it does not speak RDP ({0})"
    case withoutTLS = "it offers no TLS; let its RDP server read its key (xrdp: group ssl-cert)"
    case refusedTLS = "it refused TLS with failure code {0}; set its security layer to TLS"
    case failedTLS = "TLS failed ({0}); see the RDP server's log in the desktop"

    // MARK: Of removals and checkpoints
    case notRemoved = "it could not be removed: {0}"
    case notFrozen = "its desktop could not be booted and frozen: {0}"
    case notRestored = "a desktop restored from it did not become ready: {0}"
    case checkpointGone = "its files are gone"

    // MARK: What is wrong with the whole server
    case bootedInstead = "desktops of {0} with {1} are booted, not restored, and take longer: {2}"
    case noNetwork = "the desktops' network is not ready: {0}"
    case noInternetChange = "to which desktops the internet is open could not be set, and is tried again: {0}"
    case stray = "{0} belongs to no desktop and cannot be cleared away: {1}"
}
