"""A real browser that is driven as a person drives it, and facts that are told as they hold or fail."""

import shutil
import time
import traceback

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By


class Browser:
    """A headless Chromium at a panel, such as `https://10.77.0.10`; it counts the pages that it saw and the inputs that were filled."""

    # Those that are open, the newest last: a fact that fails tells what that one shows.
    shown = []

    def __init__(self, site, language="en", width=1440):
        self.site = site
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", f"--window-size={width},1000", f"--lang={language}"]:
            options.add_argument(word)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("acceptInsecureCerts", True)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(60)
        self.pages = 0
        self.inputs = 0
        Browser.shown.append(self)

    def open(self, path):
        self.driver.get(self.site + path)
        self.pages += 1

    @property
    def path(self):
        return self.driver.current_url.removeprefix(self.site)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector="main"):
        # At once, since a page that follows the room may put another element in its place.
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def unfold(self, element):
        """Opens the parts that the element lies in."""
        for part in self.driver.execute_script(
            "const found = []; for (let e = arguments[0].closest('details'); e; e = e.parentElement.closest('details')) if (!e.open) found.unshift(e);"
            " return found", element):
            part.find_element(By.TAG_NAME, "summary").click()

    def tick(self, value):
        """Ticks a box at once, since a page that follows the room may put another one in its place."""
        ticked = "const box = document.querySelector(`main input[type=checkbox][value='${arguments[0]}']`); if (box && !box.checked) box.click(); return !!box"
        until(f"there is a box for {value}", lambda: self.driver.execute_script(ticked, value))

    def fill(self, name, value, counts=True):
        field = self.find(f"main [name='{name}']")
        self.unfold(field)
        if field.tag_name == "select":
            field.find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
        else:
            if field.get_attribute("value") == value:
                return
            field.clear()
            field.send_keys(value)
        self.inputs += counts

    def press(self, selector):
        """Presses what sends a form, and waits for the page after it. What lies in a closed part is opened first."""
        button = self.find(selector)
        before = self.driver.find_element(By.TAG_NAME, "html").id
        self.unfold(button)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        until("another page", lambda: self.driver.find_element(By.TAG_NAME, "html").id != before, 60)
        until("the page is there", lambda: self.driver.execute_script("return document.readyState") == "complete", 60)
        self.pages += 1

    def complaints(self):
        """What the console complained of since it was asked last."""
        known = ["favicon.ico"]
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING") and not any(word in entry["message"] for word in known)]

    def requests(self):
        """What was loaded beside the page itself."""
        return self.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")

    def close(self):
        Browser.shown.remove(self)
        self.driver.quit()


def until(what, condition, seconds=30):
    """Waits until the condition gives something true, and gives that. An element that was replaced meanwhile counts as 'not yet'."""
    end = time.monotonic() + seconds
    reason = ""
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            reason = ""
        except (NoSuchElementException, StaleElementReferenceException) as error:
            reason = f": {type(error).__name__}"
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}{reason}")


# --- facts

passed = failed = 0


def fact(function):
    """Runs a test, whose name is what holds."""
    global passed, failed
    name = function.__name__
    try:
        function()
        passed += 1
        print(f"ok      {name}", flush=True)
    except Exception as error:
        failed += 1
        print(f"FAILED  {name}: {error}", flush=True)
        traceback.print_exc()
        try:
            for browser in Browser.shown[-1:]:
                print(f"        at {browser.path}: {browser.text('body')[:600]!r}", flush=True)
        except WebDriverException:
            pass
    return function


def figure(name, value):
    print(f"figure: {name}: {value}", flush=True)


def failures():
    """How many facts failed so far."""
    return failed


def ended():
    """Ends all browsers and tells the count; the program's status."""
    for browser in list(Browser.shown):
        browser.close()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0
