"""Step 8, inside the address mask: how far a Chinese address names a province, a city and a district, and nobody's home. Pure.

What begins an address is shown only where it is one of the names below: GB/T 2260's provinces and the cities, regions, prefectures
and leagues below them (2020), simplified, and the provinces in traditional characters too. A word that merely ends as one does
(a supermarket, a residential compound, a sentence with a name in it) is none of them.
"""

from __future__ import annotations

import re

_MUNICIPALITIES = "北京市 天津市 上海市 重庆市 重慶市"
_PROVINCES = (
    "河北省 山西省 辽宁省 遼寧省 吉林省 黑龙江省 黑龍江省 江苏省 江蘇省 浙江省 安徽省 福建省 江西省 山东省 山東省 河南省 "
    "湖北省 湖南省 广东省 廣東省 海南省 四川省 贵州省 貴州省 云南省 雲南省 陕西省 陝西省 甘肃省 甘肅省 青海省 台湾省 臺灣省 "
    "内蒙古自治区 內蒙古自治區 广西壮族自治区 廣西壯族自治區 西藏自治区 西藏自治區 宁夏回族自治区 寧夏回族自治區 "
    "新疆维吾尔自治区 新疆維吾爾自治區 香港特别行政区 香港特別行政區 澳门特别行政区 澳門特別行政區"
)
_CITIES = (
    "石家庄 唐山 秦皇岛 邯郸 邢台 保定 张家口 承德 沧州 廊坊 衡水 太原 大同 阳泉 长治 晋城 朔州 晋中 运城 忻州 临汾 吕梁 "
    "呼和浩特 包头 乌海 赤峰 通辽 鄂尔多斯 呼伦贝尔 巴彦淖尔 乌兰察布 沈阳 大连 鞍山 抚顺 本溪 丹东 锦州 营口 阜新 辽阳 盘锦 "
    "铁岭 朝阳 葫芦岛 长春 吉林 四平 辽源 通化 白山 松原 白城 哈尔滨 齐齐哈尔 鸡西 鹤岗 双鸭山 大庆 伊春 佳木斯 七台河 "
    "牡丹江 黑河 绥化 南京 无锡 徐州 常州 苏州 南通 连云港 淮安 盐城 扬州 镇江 泰州 宿迁 杭州 宁波 温州 嘉兴 湖州 绍兴 金华 "
    "衢州 舟山 台州 丽水 合肥 芜湖 蚌埠 淮南 马鞍山 淮北 铜陵 安庆 黄山 滁州 阜阳 宿州 六安 亳州 池州 宣城 福州 厦门 莆田 "
    "三明 泉州 漳州 南平 龙岩 宁德 南昌 景德镇 萍乡 九江 新余 鹰潭 赣州 吉安 宜春 抚州 上饶 济南 青岛 淄博 枣庄 东营 烟台 "
    "潍坊 济宁 泰安 威海 日照 临沂 德州 聊城 滨州 菏泽 郑州 开封 洛阳 平顶山 安阳 鹤壁 新乡 焦作 濮阳 许昌 漯河 三门峡 南阳 "
    "商丘 信阳 周口 驻马店 武汉 黄石 十堰 宜昌 襄阳 鄂州 荆门 孝感 荆州 黄冈 咸宁 随州 长沙 株洲 湘潭 衡阳 邵阳 岳阳 常德 "
    "张家界 益阳 郴州 永州 怀化 娄底 广州 韶关 深圳 珠海 汕头 佛山 江门 湛江 茂名 肇庆 惠州 梅州 汕尾 河源 阳江 清远 东莞 "
    "中山 潮州 揭阳 云浮 南宁 柳州 桂林 梧州 北海 防城港 钦州 贵港 玉林 百色 贺州 河池 来宾 崇左 海口 三亚 三沙 儋州 成都 "
    "自贡 攀枝花 泸州 德阳 绵阳 广元 遂宁 内江 乐山 南充 眉山 宜宾 广安 达州 雅安 巴中 资阳 贵阳 六盘水 遵义 安顺 毕节 铜仁 "
    "昆明 曲靖 玉溪 保山 昭通 丽江 普洱 临沧 拉萨 日喀则 昌都 林芝 山南 那曲 西安 铜川 宝鸡 咸阳 渭南 延安 汉中 榆林 安康 "
    "商洛 兰州 嘉峪关 金昌 白银 天水 武威 张掖 平凉 酒泉 庆阳 定西 陇南 西宁 海东 银川 石嘴山 吴忠 固原 中卫 乌鲁木齐 "
    "克拉玛依 吐鲁番 哈密 石河子 台北 新北 桃园 台中 台南 高雄"
)
_OTHERS = (
    "大兴安岭地区 阿里地区 阿克苏地区 喀什地区 和田地区 塔城地区 阿勒泰地区 兴安盟 锡林郭勒盟 阿拉善盟 延边朝鲜族自治州 "
    "恩施土家族苗族自治州 湘西土家族苗族自治州 阿坝藏族羌族自治州 甘孜藏族自治州 凉山彝族自治州 黔西南布依族苗族自治州 "
    "黔东南苗族侗族自治州 黔南布依族苗族自治州 楚雄彝族自治州 红河哈尼族彝族自治州 文山壮族苗族自治州 西双版纳傣族自治州 "
    "大理白族自治州 德宏傣族景颇族自治州 怒江傈僳族自治州 迪庆藏族自治州 临夏回族自治州 甘南藏族自治州 海北藏族自治州 "
    "黄南藏族自治州 海南藏族自治州 果洛藏族自治州 玉树藏族自治州 海西蒙古族藏族自治州 昌吉回族自治州 博尔塔拉蒙古自治州 "
    "巴音郭楞蒙古自治州 克孜勒苏柯尔克孜自治州 伊犁哈萨克自治州"
)


def _any_of(names: list[str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_LEADING = re.compile(_any_of([*_MUNICIPALITIES.split(), *_PROVINCES.split()]))
_CITY = re.compile(_any_of([*(name + "市" for name in _CITIES.split()), *_OTHERS.split()]))
# The first word that ends as a district does, and is none where it ends as a compound, a park, a works or the like does.
_DISTRICT = re.compile("[\u4e00-\u9fff]{1,9}?([区區县縣旗])")
_NO_DISTRICT = frozenset("小社园園院校厂廠景库庫街营營军軍林矿礦牧生住市")


def steps(text: str) -> list[int]:
    """Gives where province, city and district end at the text's beginning, in order; empty where it begins otherwise."""
    ends = []
    at = 0
    for form in (_LEADING, _CITY):
        if found := form.match(text, at):
            at = found.end()
            ends.append(at)
    if (
        ends
        and (found := _DISTRICT.match(text, at))
        and found.end() - at > 1
        and text[found.end() - 2] not in _NO_DISTRICT
    ):
        ends.append(found.end())
    return ends
