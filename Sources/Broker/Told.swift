import DesktopModel

/// What is told of a desktop: where it stands, what happens next, and what other hardware means for it. What begins small is a part of something that is told.
enum Told: String, Phrases {
    // MARK: Amounts
    case seconds = "{0} s"
    case oneVCPU = "{0} vCPU and {1}"
    case vCPUs = "{0} vCPUs and {1}"

    // MARK: In a list
    case quarantineAfterSession = "it goes into quarantine when its session ends"
    case triedAgain = "{0}; tried again in {1}"

    // MARK: Ready
    case parked = "Its RDP has answered in this generation, and it is parked"
    case aired = "it is let run for a moment, so that it answers as at first"
    case givenNext = "the next seat that asks is given it at once, unless its lab's image or profile changes before: then it is made anew"
    case remakeThrowsAway = "'punnet desktop remake {0}' throws it away and makes it anew"

    // MARK: In quarantine by hand
    case setAside = "An administrator has put it in quarantine. Nothing is left of it, and it takes nothing of the server"
    case setAsideInShort = "an administrator has put it in quarantine"
    case waitsForRelease = "it is in quarantine until an administrator releases it"
    case madeOnceReleased = "it is made anew once it is released"
    case releaseMakesAnew = "'punnet desktop release {0}' has it made anew"

    // MARK: Empty
    case empty = "It holds nothing: no domain and no disk"
    case isMade = "it is made"
    case goesWithItsLab = "it goes with its lab, which is being deleted"
    case isWritten = "it is being written to the database"
    case unmeasured = "what the server has is not known: {0}"
    case beingMeasured = "the server is being asked what it has"
    case nothingBeforeMeasured = "nothing is begun before that is known; the server is asked again"
    case statusTells = "'punnet status' tells what is wrong with the server"
    case othersFirst = "others are being made first: {0} at once are under way, and more may not be"
    case madeInItsTurn = "it is made when its turn comes"
    case checkpointFirst = "its image is started once for all of its desktops, which comes first"
    case checkpointFirstBy = "its image is started once for all of its desktops, by '{0}', which comes first"
    case restoredInSeconds = "it is restored from that in seconds"
    case doesNotFit = "it does not fit the server now: {0}"
    case madeOnceItFits = "it is made as soon as it fits; the server is asked again"
    case smallerLabFits = "'punnet lab set {0}' with a smaller --size or less --memory makes it fit"
    case othersMayRun = "'xl list' tells what else runs"
    case aboutToBeMade = "it is about to be made"

    // MARK: Why it does not fit
    case capacityUnknown = "the server's capacity is not known yet"
    case lacksMemory = "it needs {0} of memory; {1} of {2} are not promised yet"
    case lacksControlMemory = "dom0 has no memory left for one more desktop's disk process"
    case lacksDisk = "its disk may grow to {0}; {1} of {2} are not promised yet"

    // MARK: Being made
    case making = "It is being made: step {0} of {1}"
    case disk = "its disk is being laid"
    case domain = "Xen builds its domain"
    case identity = "it starts, and takes over an identity of its own"
    case boots = "it boots; RDP does not answer yet"
    case bootsWith = "it boots; RDP does not answer yet ({0})"
    case freezing = "RDP has answered; it is being frozen, so that all others of its image and profile are restored from it"
    case parking = "RDP has answered; it is being parked"
    case readyWhenDone = """
        it is ready when all steps are done. A step that is not done within {0} has failed: then what there is of it is removed, and it is made \
        anew after a pause
        """
    case remakeGivesUp = "'punnet desktop remake {0}' gives this try up and begins another"

    // MARK: Leased
    case leased = "It belongs to session {0}"
    case leasedTo = "It belongs to session {0} of seat '{1}'"
    case asideAfterSession = "when the session ends it is thrown away, and stays in quarantine until an administrator releases it"
    case anewAfterSession = "when the session ends it is thrown away and made anew"
    case sessionEndsByTime = "the session ends, since it has lasted as long as its lab allows; {0}"
    case endEndsSession = "'punnet session end {0}' ends its session"
    case handedOut = "it is being handed out"
    case nobodyConnected = "nobody is connected: the session ends unless somebody is by then"
    case connected = "its seat is connected"

    // MARK: Retiring
    case removing = "What it held is being removed: its domain and its disk"
    case removed = "what it held is being removed"
    case madeAnew = "it is made anew"
    case madeAnewIfWanted = "it is made anew where its lab still wants it, and forgotten otherwise"
    case staysAside = "it stays in quarantine until an administrator releases it"
    case makingFailed = "its making failed: {0}"
    case madeAnewAfter = "it is made anew, {0} after all of it is removed"

    // MARK: In quarantine
    case notRemoved = "Its domain or its disk could not be removed. It is out of use, and what it held stays in the books"
    case removedAgain = "its removal is tried again"
    case remakeTriesRemoval = "'punnet desktop remake {0}' tries it at once"
    case xenMayHoldIt = "'xl list' tells whether Xen still has its domain, {0}; 'xl destroy' ends it"
    case failed = "Making it has failed. Nothing is left of it, and it takes nothing of the server"
    case failedOften = "Making it has failed ({0} failures in a row). Nothing is left of it, and it takes nothing of the server"
    case remakeMakesAnew = "'punnet desktop remake {0}' makes it anew at once"

    // MARK: Hardware of its own
    case nothingChanges = "It is so already; nothing changes"
    case sessionGoesOn = "Session {0} goes on; {1} has {2} from its next making on"
    case usesAtOnce = "It uses {0} of its {1} vCPUs at once"
    case madeAnewWith = "{0} is thrown away and made anew with {1}"
    case hasFromNextMaking = "{0} has {1} from its next making on"
    case bootedFirst = """
        No desktop of this image has had that hardware yet: it is booted and frozen first, which takes one boot more, and up to {0} of disk while \
        that is being done
        """
}

extension Duration {
    /// Whole seconds, as people read them: `420 s`.
    var text: Sentence { Told.seconds(components.seconds) }
    /// With a tenth: `5.2 s`.
    var tenths: String {
        let tenths = (components.seconds * 100 + components.attoseconds / 10_000_000_000_000_000 + 5) / 10
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

extension Profile {
    /// `2 vCPUs and 1 GiB`.
    var text: Sentence { vcpus == 1 ? Told.oneVCPU(vcpus, memory) : Told.vCPUs(vcpus, memory) }
}
